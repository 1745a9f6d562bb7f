"""A scenario simulated with many seeds: means, and how sure they are."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Executor
from contextlib import ExitStack
from dataclasses import dataclass
from math import sqrt
from pathlib import Path
from typing import Any

from axsim.errors import InputError, Problem
from axsim.fidelity.intervals import LEVEL, student
from axsim.runs.shared_run import prepared
from axsim.spec.board import Board, name_of
from axsim.spec.chip import Chip
from axsim.spec.descriptor import NO_OVERRIDES, Overrides
from axsim.spec.located import show
from axsim.spec.scenario import Scenario, load_scenario
from axsim.study.grid import grid, places_of
from axsim.study.sweep import OnProgress, compute, pool, table

MOST_SEEDS = 100_000
"""Of one scenario."""


@dataclass(frozen=True)
class Estimate:
    """The mean of a column over the seeds that have it; the true mean is within ``half_width`` of
    it with the probability :data:`axsim.fidelity.intervals.LEVEL` (Student's t, seeds being
    independent of each other)."""

    tenant: str
    what: str
    count: int
    mean: float
    half_width: float
    least: float
    greatest: float


@dataclass(frozen=True)
class Replications:
    """``rows`` are those of a sweep over the seeds, ``estimates`` what follows from them; ``due``
    are the tenants whose requests have a deadline."""

    scenario: str
    chip: str
    rows: list[dict[str, Any]]
    estimates: tuple[Estimate, ...]
    due: tuple[str, ...] = ()

    def of(self, tenant: str, what: str) -> Estimate:
        """The estimate of one column of a tenant, such as ``latency_p95_ms``."""
        for each in self.estimates:
            if (each.tenant, each.what) == (tenant, what):
                return each
        raise KeyError((tenant, what))

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "scenario": self.scenario,
            "chip": self.chip,
            "seeds": [row["seed"] for row in self.rows],
            "level": LEVEL,
            "estimates": [vars(each) for each in self.estimates],
        }


def replicate(
    scenario: Scenario | str | Path,
    chip: Chip | Board | str | Path | None = None,
    seeds: int | Sequence[int] = 64,
    *,
    overrides: Overrides = NO_OVERRIDES,
    jobs: int | None = None,
    executor: Executor | None = None,
    scheduler: str | None = None,
    on_progress: OnProgress | None = None,
) -> Replications:
    """Simulate a scenario with each of these seeds (or so many, from 1 on), as a sweep does: on all
    cores, or wherever ``executor`` and ``scheduler`` say.

    >>> found = replicate("camera_answers", "ax630c", 64)
    >>> found.of("answer", "first_token_p95_ms")

    Raises:
        InputError: as :func:`axsim.sweep`, or no seed could be simulated.
    """
    if not isinstance(scenario, Scenario):
        scenario = load_scenario(scenario)
    chip = next(iter(places_of(scenario, chip)))
    wanted = _wanted(seeds)
    settled, _ = prepared(scenario, chip, overrides)
    if not any(each.arrivals and each.arrivals.poisson_per_s for each in settled.models.values()):
        allowed = "a tenant whose arrivals are poisson_per_s"
        raise InputError(Problem("", "seeds", "nothing here is at random", allowed))
    points = grid(scenario, [chip], {"seed": wanted}, settings=overrides)
    with ExitStack() as stack:
        if executor is None:
            executor = stack.enter_context(pool(jobs, scheduler, len(points)))
        rows = table(compute(points, executor, None, on_progress), ["seed"])
    good = [row for row in rows if row["error"] is None]
    if not good:
        raise InputError(str(rows[0]["error"]))
    estimates = []
    for name in scenario.models:
        for key in rows[0]:
            tenant, dot, what = key.partition(".")
            values = [row[key] for row in good if isinstance(row[key], int | float)]
            if dot and tenant == name and values:
                estimates.append(estimate(tenant, what, values))
    due = tuple(name for name, each in settled.models.items() if each.deadline_ms is not None)
    return Replications(scenario.name, name_of(chip), rows, tuple(estimates), due)


def _wanted(seeds: int | Sequence[int]) -> list[int]:
    """The seeds that are meant.

    Raises:
        InputError: there are none, or one is there twice.
    """
    if type(seeds) is int and 1 <= seeds <= MOST_SEEDS:
        return list(range(1, seeds + 1))
    found = list(seeds) if isinstance(seeds, Sequence) and not isinstance(seeds, str) else []
    if not found or len(found) > MOST_SEEDS or len(set(map(repr, found))) < len(found):
        allowed = f"how many, up to {MOST_SEEDS:,}, or different whole numbers"
        raise InputError(Problem("", "seeds", f"found {show(seeds)}", allowed))
    return found


def estimate(tenant: str, what: str, values: Sequence[float]) -> Estimate:
    """Mean and interval of independent values; the interval of a single one is not known: 0."""
    count = len(values)
    mean = sum(values) / count
    half = 0.0
    if count > 1:
        variance = sum((value - mean) ** 2 for value in values) / (count - 1)
        half = student(count - 1) * sqrt(variance / count)
    return Estimate(tenant, what, count, mean, half, min(values), max(values))
