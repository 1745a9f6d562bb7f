"""A scenario simulated: all tenants together, and each alone to compare."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from axsim.errors import InputError, Problem
from axsim.runs.shared_results import ScenarioResult, TenantResult
from axsim.spec.board import Board
from axsim.spec.chip import Chip, load_chip
from axsim.spec.descriptor import NO_OVERRIDES, Overrides, override, split_overrides
from axsim.spec.scenario import Scenario, load_scenario
from axsim.system.admission import Admitted, admit
from axsim.system.company import Company, Outcome
from axsim.system.deployed import partition_of

OnProgress = Callable[[float], None]
"""Told which part of the work is done."""

WINDOW_S = (0.0, 2.0)
"""The part of a simulation that is kept whole unless another is asked for."""


def simulate(
    scenario: Scenario | str | Path,
    chip: Chip | Board | str | Path | None = None,
    *,
    duration_s: float | None = None,
    seed: int | None = None,
    overrides: Overrides = NO_OVERRIDES,
    window_s: tuple[float, float] = WINDOW_S,
    alone: bool = True,
    costs: bool = False,
    overload: bool = False,
    on_progress: OnProgress | None = None,
) -> ScenarioResult:
    """Simulate tenants that share a chip: what ``axsim simulate`` shows, as objects.

    ``scenario`` and ``chip`` are shipped names, paths of YAML files, or loaded descriptors; without
    ``chip`` the scenario's own; a board stands for its chip as it has it. Requests come for
    ``duration_s`` seconds, and all of them are answered. ``overrides`` (``--set`` on the
    command line) replace dotted keys, those of the chip with the prefix ``chip.``.
    ``window_s`` is the part of the time of which every request is kept, for traces and timelines.
    With ``alone`` each tenant is simulated alone, too, for its slowdown; with ``costs`` once more
    without each of the others. ``overload`` admits requests that come faster than they can be
    answered.

    >>> result = axsim.simulate("camera_answers", "ax630c")
    >>> result["answer"].measures["first_token_ms"].percentile(95)

    Raises:
        InputError: a descriptor or key is wrong, or the chip can't have these tenants.
    """
    chip_keys, keys = split_overrides(overrides, "chip")
    for key, value in (("duration_s", duration_s), ("seed", seed)):
        keys |= {} if value is None else {key: value}
    if not isinstance(scenario, Scenario):
        scenario = load_scenario(scenario, keys)
    elif keys:
        scenario = override(scenario, keys)
    if window_s[0] >= scenario.duration_s:
        what = f"begins at {window_s[0]:g} s"
        raise InputError(Problem("", "window", what, f"before {scenario.duration_s:g} s, the end"))
    if chip is None:
        chip = scenario.chip
    if chip is None:
        raise InputError(Problem("", "chip", "missing", "the scenario's key, or --chip"))
    if isinstance(chip, Board):
        chip = chip.chip_on_it(chip_keys)
    elif isinstance(chip, Chip):
        chip = override(chip, chip_keys) if chip_keys else chip
    else:
        chip = load_chip(chip, chip_keys)
    admitted = admit(scenario, chip, overload=overload)
    others = [scenario.only(scenario.with_origins(name)) for name in scenario.models]
    lonely = [each for each in others if len(each.tenants) < len(scenario.tenants)]
    shares = 1 + (len(lonely) if alone else 0) + (len(scenario.tenants) if costs else 0)
    done = 0

    def run(some: Scenario, window: tuple[float, float] = (0.0, 0.0)) -> Outcome:
        nonlocal done
        told, before = on_progress, done
        company = Company(some, chip, dict(admitted.deployed), some.seed, window)
        outcome = company.run(None if told is None else lambda part: told((before + part) / shares))
        done += 1
        return outcome

    window = window_s[0] * 1e6, window_s[1] * 1e6
    outcome = run(scenario, window)
    slowdowns: dict[str, float] = {}
    for name in scenario.models if alone else ():
        some = scenario.only(scenario.with_origins(name))
        outcome_alone = run(some) if len(some.tenants) < len(scenario.tenants) else outcome
        slowdown = _ratio(outcome, outcome_alone, name)
        if slowdown is not None:
            slowdowns[name] = slowdown
    found = _costs(scenario, outcome, run) if costs else None
    tenants = tuple(_tenants(scenario, admitted, outcome, slowdowns))
    return ScenarioResult(
        scenario, chip, scenario.seed, tenants, outcome, admitted, window_s, found
    )


def _ratio(outcome: Outcome, other: Outcome, name: str) -> float | None:
    """A tenant's mean latency over that of another simulation."""
    here, there = (
        each.records[name].measures["latency_ms"].mean if name in each.records else 0.0
        for each in (outcome, other)
    )
    return here / there if there else None


def _costs(
    scenario: Scenario, outcome: Outcome, run: Callable[[Scenario], Outcome]
) -> dict[tuple[str, str], float]:
    """How much longer each tenant's requests take because of each other one."""
    found = {}
    for name in scenario.tenants:
        left = tuple(
            other for other in scenario.tenants if name not in scenario.with_origins(other)
        )
        if not any(other in scenario.models for other in left):
            continue
        without = run(scenario.only(left))
        for other in without.records:
            ratio = _ratio(outcome, without, other)
            if ratio is not None:
                found[name, other] = ratio - 1
    return found


def _tenants(
    scenario: Scenario, admitted: Admitted, outcome: Outcome, slowdowns: dict[str, float]
) -> list[TenantResult]:
    usage, found = outcome.usage, []
    for name, tenant in scenario.tenants.items():
        deployed = admitted.deployed.get(name)
        npu = [meter.total for (who, _), meter in usage.npu.items() if who == name]
        record = outcome.records.get(name)
        found.append(
            TenantResult(
                name,
                tenant.kind,
                deployed.deployment.workload.name if deployed else tenant.kind,
                partition_of(scenario, tenant) if tenant.kind in ("workload", "npu") else "",
                record,
                sum(npu) / 1e3,
                usage.cpu[name].total / 1e3 if name in usage.cpu else 0.0,
                usage.dram[name].total if name in usage.dram else 0.0,
                scenario.duration_s,
                tenant.deadline_ms,
                record.present(outcome.ended_us) if record else 0.0,
                slowdowns.get(name),
            )
        )
    return found
