"""Whether a chip can have these tenants: partitions, cores, memory, and load.

What a chip can never do is said before anything is simulated.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import ceil

from axsim.compiler.partition import MEBI
from axsim.compiler.program import Program
from axsim.errors import InputError, Problem
from axsim.machine.npu import Npu
from axsim.spec.chip import Chip
from axsim.spec.scenario import Scenario
from axsim.system.alone import alone
from axsim.system.arrivals import from_file
from axsim.system.deployed import Deployed, partition_of, partitions_of
from axsim.system.request import Call
from axsim.system.request_timeline import RequestTimeline
from axsim.system.usage import program_bytes


@dataclass(frozen=True)
class Load:
    """What all tenants ask of one thing, as a fraction of what it can do (1: all of it), and the
    part of each."""

    name: str
    by_tenant: Mapping[str, float]

    @property
    def total(self) -> float:
        """All of it."""
        return sum(self.by_tenant.values())

    def __str__(self) -> str:
        parts = ", ".join(f"{name} {part:.0%}" for name, part in self.by_tenant.items() if part)
        return f"{self.name} {self.total:.0%} busy ({parts})"


@dataclass(frozen=True)
class Admitted:
    """Tenants that a chip can have: their models, memory in bytes by tenant, and the loads that are
    known before a simulation: of requests that come whatever happens and are never dropped."""

    deployed: Mapping[str, Deployed]
    memory: Mapping[str, int]
    loads: tuple[Load, ...]

    @property
    def overloaded(self) -> list[Load]:
        """What is asked for more than it can do."""
        return [load for load in self.loads if load.total > 1]


def admit(scenario: Scenario, chip: Chip, *, overload: bool = False) -> Admitted:
    """See that the chip can have the tenants.

    Raises:
        InputError: it has no such partitions or they overlap, its cores are fewer or its memory is
            smaller than what is asked for, or requests come faster than it can answer them and
            ``overload`` does not say that this is meant.
    """
    _check_partitions(scenario, chip)
    deployed, problems = dict[str, Deployed](), list[Problem]()
    for name in scenario.models:
        try:
            deployed[name] = Deployed(scenario, name, chip)
            _check_arrivals(scenario, name, deployed[name])
        except InputError as error:
            problems += error.problems
    problems += _core_problems(scenario, chip)
    if problems:
        raise InputError(problems)
    memory = _memory(scenario, deployed)
    need, have = sum(memory.values()), chip.dram.npu_bytes or chip.dram.capacity_bytes
    if need > have:
        parts = " + ".join(f"{name} {ceil(size / MEBI)}" for name, size in memory.items() if size)
        what = f"do not fit into memory: {parts} = {ceil(need / MEBI)} MiB"
        raise InputError(scenario.problem("tenants", what, f"up to {have // MEBI} MiB"))
    loads = tuple(_loads(scenario, chip, deployed))
    dram = sum(each.steady_bytes_per_s for each in scenario.tenants.values()) / 1e9
    found = Admitted(deployed, memory, loads)
    if dram >= chip.sustained_gbps or (found.overloaded and not overload):
        if not found.overloaded:
            found = Admitted(deployed, memory, (Load("the DRAM", {"steady": 1.0}),))
        what = f"can never be stable: {'; '.join(map(str, found.overloaded))}"
        allowed = "up to 100 %, requests that are dropped (arrivals.queue), or --overload"
        raise InputError(scenario.problem("tenants", what, allowed))
    return found


def _check_partitions(scenario: Scenario, chip: Chip) -> None:
    problems = []
    for name, mode in scenario.partitions.items():
        try:
            chip.mode(mode)
        except InputError as error:
            problems += [
                scenario.problem(f"partitions.{name}", p.what, p.allowed) for p in error.problems
            ]
    if problems:
        raise InputError(problems)
    try:
        chip.by_turns(partitions_of(scenario, chip))
    except InputError as error:
        raise InputError(scenario.problem("partitions", p.what) for p in error.problems) from None


def _check_arrivals(scenario: Scenario, name: str, deployed: Deployed) -> None:
    way = deployed.tenant.arrivals
    assert way is not None
    turns = len(deployed.turns)
    if way.chat is not None and turns == 1:
        what = f"{deployed.deployment.workload.name} has one turn only"
        key = f"tenants.{name}.arrivals.chat"
        raise InputError(scenario.problem(key, what, "a workload with request.turns"))
    if way.chat is None and turns > 1:
        what = f"a conversation of {turns} turns comes as a chat"
        raise InputError(scenario.problem(f"tenants.{name}.arrivals", what, "chat: {}"))
    for arrival in from_file(way.csv) if way.csv is not None else ():
        deployed.of(arrival.prompt_tokens)


def late_arrivals(scenario: Scenario) -> Iterator[tuple[str, str]]:
    """Tenants of whose requests, all or some, are never there because they come after the end, and
    what to say of them."""
    end = scenario.duration_s
    for name, tenant in scenario.models.items():
        way = tenant.arrivals
        assert way is not None
        start = way.start_ms / 1e3
        times = [start]
        if way.csv is not None:
            times = [start + each.us / 1e6 for each in from_file(way.csv)]
        late = sum(each >= end for each in times)
        if way.after is None and late == len(times):
            text = f"its first request comes at {times[0]:g} s, the run ends at {end:g} s"
            yield name, f"{name} is asked nothing: {text}"
        elif late:
            text = f"{late} would come after the end of the run at {end:g} s"
            yield name, f"{name}: of the {len(times)} requests of {way.csv}, {text}"


def _core_problems(scenario: Scenario, chip: Chip) -> Iterator[Problem]:
    for name, tenant in scenario.tenants.items():
        if tenant.cpu is not None and tenant.cpu.cores > chip.cpu.cores:
            key = f"tenants.{name}.cpu.cores"
            what = f"found {tenant.cpu.cores}"
            yield scenario.problem(key, what, f"up to {chip.cpu.cores}, {chip.name}'s")


def _memory(scenario: Scenario, deployed: Mapping[str, Deployed]) -> dict[str, int]:
    """Bytes of each tenant: clients that talk have a KV cache each."""
    found = {name: tenant.memory_bytes for name, tenant in scenario.tenants.items()}
    for name, each in deployed.items():
        memory, way = each.deployment.memory, each.tenant.arrivals
        found[name] += memory.total
        if way is not None and way.chat is not None:
            found[name] += memory.kv_slot * max(0, way.chat.clients - memory.kv_slots)
    return found


def _loads(scenario: Scenario, chip: Chip, deployed: Mapping[str, Deployed]) -> Iterator[Load]:
    """Of each partition, or of the NPU that they have by turns, of the cores, of the DRAM, and of
    each tenant that answers one request after the other."""
    partitions = partitions_of(scenario, chip)
    steady = {name: each.steady_bytes_per_s / 1e9 for name, each in scenario.tenants.items()}
    dram = {name: rate / chip.sustained_gbps for name, rate in steady.items() if rate}
    left = chip.sustained_gbps - sum(steady.values())
    npu: dict[str, dict[str, float]] = {name: {} for name in partitions}
    cpu: dict[str, float] = {}
    own = []
    machine = Npu(taken_bytes_per_us=sum(steady.values()) * 1e3)
    for name, tenant in scenario.tenants.items():
        if tenant.cpu is not None:
            cpu[name] = tenant.cpu.ms / tenant.cpu.every_ms * tenant.cpu.cores / chip.cpu.cores
        elif tenant.npu is not None:
            busy = tenant.npu.ms / tenant.npu.every_ms
            npu[partition_of(scenario, tenant)][name] = busy
        elif tenant.frames is not None and tenant.frames.pattern == "bursts":
            dram[name] = tenant.frames.bytes_per_s / 1e9 / chip.sustained_gbps
        rate = _rate(scenario, name)
        if rate is None or left <= 0:
            continue
        deployment = deployed[name].deployment
        request = alone(deployment, machine, deployment.workload.new_tokens)
        npu_us, cpu_us, size = demand(request)
        npu[deployed[name].partition][name] = rate * npu_us / 1e6
        cpu[name] = rate * cpu_us / 1e6 / chip.cpu.cores
        dram[name] = rate * size / 1e9 / chip.sustained_gbps
        own.append(Load(f"tenant {name}", {name: rate * request.ms / 1e3 / tenant.parallel}))
    if chip.by_turns(partitions):
        yield Load("the NPU", {k: v for parts in npu.values() for k, v in parts.items()})
    else:
        yield from (Load(f"partition {name}", parts) for name, parts in npu.items())
    yield Load("the CPU", cpu)
    yield Load("the DRAM", dram)
    yield from own


def _rate(scenario: Scenario, name: str) -> float | None:
    """Requests per second that come whatever happens and are never dropped."""
    rate = None
    for each in reversed(scenario.with_origins(name)):
        way = scenario.tenants[each].arrivals
        if way is None or way.queue is not None:
            return None
        if way.after is None:
            rate = way.per_s
    return rate


def demand(request: RequestTimeline) -> tuple[float, float, float]:
    """What a request takes: microseconds of the NPU, core-microseconds of the host, bytes of the
    DRAM's bandwidth."""
    npu = cpu = size = 0.0
    at, sizes = 0, dict[Program, float]()
    for work in request.passes:
        for step in work.steps * work.layers:
            if isinstance(step, Call):
                npu += request.lengths_us[at]
                program = step.subgraph.program
                if program not in sizes:
                    sizes[program] = program_bytes(program).cost
                size += sizes[program]
            else:
                cpu += request.lengths_us[at] * step.cores
            at += 1
    return npu, cpu, size
