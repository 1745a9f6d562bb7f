"""The points of a sweep: every chip with every combination of the varied keys."""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from math import prod
from pathlib import Path
from typing import Any

from axsim.errors import InputError, Problem
from axsim.runs.sources import SYNTHETIC, Sources
from axsim.spec.board import Board, Place, chip_at, name_of
from axsim.spec.chip import Chip
from axsim.spec.descriptor import split_overrides
from axsim.spec.kinds import load_either
from axsim.spec.scenario import Scenario
from axsim.spec.workload import Workload
from axsim.study.fingerprint import code_fingerprint, file_fingerprint, fingerprint
from axsim.study.values import usable

MOST_POINTS = 1_000_000
"""Of a sweep that computes them all."""


@dataclass(frozen=True)
class Point:
    """One combination, with all that a worker on any machine needs to compute it.

    ``workload`` and ``chip`` are descriptors as JSON, ``settings`` a JSON object of overrides,
    those of the chip with the prefix ``chip.``; equal texts share what a process has made of them.
    ``chip_name`` is how the user calls the chip. ``variants`` chooses among the workload's.
    ``varied`` are the keys of ``settings`` that replace what variants set. Where ``tenants`` is
    given, ``workload`` is a scenario, and that is what its files hold.
    """

    workload: str
    chip: str
    chip_name: str
    settings: str
    variants: tuple[str, ...] | None = None
    timing_only: bool = False
    sources: Sources = SYNTHETIC
    varied: tuple[str, ...] = ()
    tenants: str = ""

    @property
    def key(self) -> str:
        """Names the point's result: changes with anything that it depends on, the code and an ONNX
        file included."""
        parts: list[object] = [self.workload, self.chip, self.chip_name, self.settings]
        parts += [self.variants, self.timing_only, asdict(self.sources), self.varied]
        parts += [self.tenants] if self.tenants else []
        parts.append(code_fingerprint())
        if not self.tenants and (file := json.loads(self.workload)["model"].get("onnx")):
            parts.append(_network_fingerprint(file))
        return fingerprint(parts)


@lru_cache(maxsize=4)
def _network_fingerprint(path: str) -> str:
    """Of the file as a sweep finds it."""
    return file_fingerprint(path) if Path(path).is_file() else ""


@dataclass(frozen=True)
class Space:
    """Every chip with every combination of the varied keys; points are made when asked for.

    ``workload`` and each chip's second part are descriptors as JSON; ``tenants`` as in
    :class:`Point`.
    """

    workload: str
    chips: tuple[tuple[str, str], ...]
    vary: Mapping[str, tuple[Any, ...]]
    settings: Mapping[str, object]
    variants: tuple[str, ...] | None = None
    timing_only: bool = False
    sources: Sources = SYNTHETIC
    tenants: str = ""

    def __len__(self) -> int:
        return len(self.chips) * prod(map(len, self.vary.values()))

    def __iter__(self) -> Iterator[Point]:
        """All points, chips outermost, then the varied keys in their order."""
        for place in itertools.product(range(len(self.chips)), *map(_places, self.vary.values())):
            yield self.point(place)

    def points(self) -> list[Point]:
        """All of them; InputError when there are more than :data:`MOST_POINTS`."""
        count = len(self.chips) * prod(map(len, self.vary.values()))
        if count > MOST_POINTS:
            what = f"{count:.3g} points are more than can be listed"
            allowed = f"up to {MOST_POINTS:,}, or any number with --optimizer"
            raise InputError(Problem("--vary", "", what, allowed))
        return list(self)

    def point(self, place: Sequence[int]) -> Point:
        """The point at the position of the chip and of each varied key's value."""
        chip, *indices = place
        name, text = self.chips[chip]
        values = {key: self.vary[key][i] for key, i in zip(self.vary, indices, strict=True)}
        settings = json.dumps({**self.settings, **values}, ensure_ascii=False)
        how = self.variants, self.timing_only, self.sources, tuple(self.vary), self.tenants
        return Point(self.workload, text, name, settings, *how)


def places_of(
    subject: Workload | Scenario, given: Place | Sequence[Place] | None
) -> Sequence[Place]:
    """The chips that were ``given``, one or several; without any a scenario's own.

    Raises:
        InputError: there is none.
    """
    if isinstance(given, Chip | Board | str | Path):
        return [given]
    own = subject.chip if isinstance(subject, Scenario) else None
    found = given or ([] if own is None else [own])
    if not found:
        allowed = "--chip or --board"
        allowed += ", or the scenario's key" if isinstance(subject, Scenario) else ""
        raise InputError(Problem("", "chip", "missing", allowed))
    return found


def space(
    workload: Workload | Scenario | str | Path,
    chips: Sequence[Place],
    vary: Mapping[str, Sequence[Any]],
    *,
    settings: Mapping[str, object],
    variants: Sequence[str] | None = None,
    timing_only: bool = False,
    sources: Sources = SYNTHETIC,
) -> Space:
    """What a sweep or a search is over; a board stands for its chip as it has it.

    Raises:
        InputError: a descriptor is wrong, a key does not exist, or nothing is left to compute.
    """
    split_overrides(settings, "chip")
    both = [key for key in vary if key in settings]
    if both:
        raise InputError(Problem(f"--vary {both[0]}", both[0], "is varied and set as well"))
    if not chips or not all(vary.values()):
        raise InputError("there is nothing to sweep: no chip, or a varied key without values")
    if not isinstance(workload, Workload | Scenario):
        workload = load_either(workload)
    tenants = ""
    if isinstance(workload, Scenario):
        for option, keys in (("--vary", vary), ("--set", settings)):
            if "chip" in keys:
                what = "is not a key of its own here"
                raise InputError(Problem(option, "chip", what, "--chip NAME,…"))
        if variants or sources != SYNTHETIC:
            raise InputError(f"{workload.name} is a scenario, without variants and weights")
        tenants, timing_only = fingerprint(contents(workload)), False
    else:
        for name in variants or ():
            workload.variant(name)
        if sources.checkpoint is not None and workload.model.onnx is not None:
            what = f"{workload.name} is a network from an ONNX file"
            raise InputError(f"{what}, which holds its weights: --checkpoint has no effect")
    named = [(name_of(chip), chip_at(chip)) for chip in chips]
    vary = _usable(workload, named[0][1], vary, "--vary")
    _usable(workload, named[0][1], {key: (value,) for key, value in settings.items()}, "--set")
    return Space(
        workload.model_dump_json(exclude_unset=True),
        tuple((name, chip.model_dump_json(exclude_unset=True)) for name, chip in named),
        vary,
        dict(settings),
        None if variants is None else tuple(variants),
        timing_only,
        sources,
        tenants,
    )


def contents(scenario: Scenario) -> list[object]:
    """What the files of a scenario's tenants hold."""
    found: list[object] = []
    for name, tenant in scenario.models.items():
        workload = scenario.workload(name)
        found.append(workload.model_dump_json(exclude_unset=True))
        files = [workload.model.onnx, tenant.arrivals.csv if tenant.arrivals else None]
        for file in files:
            if file is not None and Path(file).is_file():
                found.append(hashlib.sha256(Path(file).read_bytes()).hexdigest())
    return found


def grid(
    workload: Workload | Scenario | str | Path,
    chips: Sequence[Place],
    vary: Mapping[str, Sequence[Any]],
    **options: Any,
) -> list[Point]:
    """All points of a :func:`space`, whose arguments these are."""
    return space(workload, chips, vary, **options).points()


def _places(values: Sequence[Any]) -> range:
    return range(len(values))


def _usable(
    workload: Workload | Scenario, chip: Chip, vary: Mapping[str, Sequence[Any]], option: str
) -> dict[str, tuple[Any, ...]]:
    """Every key with the values that it gets.

    Raises:
        InputError: a key does not exist, or can never have such a value.
    """
    found: dict[str, tuple[Any, ...]] = {}
    faults: list[Problem] = []
    for instance, under in ((chip, "chip."), (workload, "")):
        own = {
            key.removeprefix(under): values
            for key, values in vary.items()
            if key.startswith("chip.") == bool(under)
        }
        good, wrong = usable(instance, own, under, option)
        found |= good
        faults += wrong
    if faults:
        raise InputError(faults)
    return {key: found[key] for key in vary}
