"""A scenario simulated: all tenants together, and each alone to compare."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from axsim.errors import InputError, Problem
from axsim.runs.shared_energy import tenant_energy
from axsim.runs.shared_results import ScenarioResult, TenantResult
from axsim.spec.board import Place, chip_at
from axsim.spec.chip import Chip
from axsim.spec.descriptor import Overrides, override, split_overrides
from axsim.spec.scenario import Scenario, load_scenario
from axsim.spec.tenant import Tenant
from axsim.system.admission import Admitted, admit, late_arrivals
from axsim.system.company import Company, Outcome
from axsim.system.deployed import partition_of
from axsim.system.energy import ChipWork
from axsim.system.usage import Usage

OnProgress = Callable[[float], None]
"""Told which part of the work is done."""

WINDOW_S = (0.0, 2.0)
"""The part of a simulation that is kept whole unless another is asked for."""


def prepared(
    scenario: Scenario | str | Path, chip: Place | None, overrides: Overrides
) -> tuple[Scenario, Chip]:
    """What is meant, with the overrides.

    Raises:
        InputError: a descriptor or a key is wrong, or there is no chip.
    """
    chip_keys, keys = split_overrides(overrides, "chip")
    if not isinstance(scenario, Scenario):
        scenario = load_scenario(scenario, keys)
    elif keys:
        scenario = override(scenario, keys)
    place = scenario.chip if chip is None else chip
    if place is None:
        raise InputError(Problem("", "chip", "missing", "the scenario's key, or --chip"))
    return scenario, chip_at(place, chip_keys)


def simulated(
    scenario: Scenario,
    chip: Chip,
    *,
    window_s: tuple[float, float] = WINDOW_S,
    alone: bool = True,
    costs: bool = False,
    overload: bool = False,
    on_progress: OnProgress | None = None,
) -> ScenarioResult:
    """:func:`axsim.runs.simulation.simulate` of what is loaded, without its warnings.

    Raises:
        InputError: the window begins after the end, or the chip can't have these tenants.
    """
    if window_s[0] >= scenario.duration_s:
        what = f"begins at {window_s[0]:g} s"
        raise InputError(Problem("", "window", what, f"before {scenario.duration_s:g} s, the end"))
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
    tenants = tuple(_tenants(scenario, chip, admitted, outcome, slowdowns))
    notes = tuple(_notes(scenario, outcome))
    return ScenarioResult(
        scenario, chip, scenario.seed, tenants, outcome, admitted, window_s, found, notes
    )


def _notes(scenario: Scenario, outcome: Outcome) -> Iterator[str]:
    """Why tenants were asked nothing, or less than their files say."""
    late = dict(late_arrivals(scenario))
    yield from late.values()
    for name, record in outcome.records.items():
        way = scenario.tenants[name].arrivals
        if record.requests or name in late or way is None:
            continue
        text = f"{name} was asked nothing in {scenario.duration_s:g} s"
        if way.after is not None:
            yield f"{text}: {way.after} has answered nothing"
        else:
            yield f"{text}, with {way.poisson_per_s:g} requests per second on average"


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
    scenario: Scenario,
    chip: Chip,
    admitted: Admitted,
    outcome: Outcome,
    slowdowns: dict[str, float],
) -> list[TenantResult]:
    usage, found = outcome.usage, []
    for name, tenant in scenario.tenants.items():
        deployed = admitted.deployed.get(name)
        npu = [meter.total for (who, _), meter in usage.npu.items() if who == name]
        record = outcome.records.get(name)
        work = _beside(tenant, outcome.usage, name)
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
                tenant_energy(chip.power, outcome.accounts.get(name), work),
            )
        )
    return found


def _beside(tenant: Tenant, usage: Usage, name: str) -> ChipWork | None:
    """What a tenant that answers no requests did; None where nobody knows which units that were."""
    if tenant.npu is not None:
        return None
    cpu, dram = (each[name].total if name in each else 0.0 for each in (usage.cpu, usage.dram))
    return ChipWork({"cpu": cpu / 1e3}, dram)
