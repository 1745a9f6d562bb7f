"""All tenants of a scenario on one chip, until every request that came in time is answered."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count
from typing import NamedTuple

from simpy import Environment

from axsim.spec.chip import Chip
from axsim.spec.scenario import Scenario
from axsim.spec.tenant import Frames, HostLoad, NpuLoad
from axsim.system.arrivals import arrivals, generator
from axsim.system.deployed import Deployed, partition_of, partitions_of
from axsim.system.desk import Desk
from axsim.system.energy import Account
from axsim.system.invocation import Steps
from axsim.system.record import Job, Record, Served
from axsim.system.soc import Soc
from axsim.system.usage import Moved, Usage

OnProgress = Callable[[float], None]
"""Told which part of the simulated time is over."""

TICKS = 100
"""Times that progress is told."""


class Slot(NamedTuple):
    """Work of a tenant that is no model, in the part of the simulation that is kept whole."""

    name: str
    began_us: float
    ended_us: float


@dataclass(frozen=True)
class Outcome:
    """What happened: records by tenant, use of the chip, when the last request ended, of the part
    that is kept whole, requests and other work, and what each model's tenant has drawn where the
    chip says what it draws."""

    records: dict[str, Record]
    usage: Usage
    ended_us: float
    window: list[Served]
    slots: list[Slot]
    accounts: dict[str, Account]


class Company:
    """Tenants on a chip. ``window_us`` is the part of the time that is kept whole."""

    def __init__(
        self,
        scenario: Scenario,
        chip: Chip,
        deployed: dict[str, Deployed],
        seed: int,
        window_us: tuple[float, float] = (0.0, 0.0),
    ) -> None:
        self._scenario, self._seed = scenario, seed
        self._until = scenario.duration_s * 1e6
        self._window = window_us
        self._env = Environment()
        steady = {name: each.steady_bytes_per_s for name, each in scenario.tenants.items()}
        self._steady = {name: rate for name, rate in steady.items() if rate}
        self._soc = Soc(
            self._env,
            chip,
            partitions_of(scenario, chip),
            taken_gbps=sum(self._steady.values()) / 1e9,
        )
        self._usage = Usage(self._until)
        self._served: list[Served] = []
        self._slots: list[Slot] = []
        models = scenario.models if chip.power is not None else ()
        self._accounts = {name: Account() for name in models}
        self._over = False  # the time in which requests come
        self._finished = self._env.event()
        common = self._soc, self._usage, self._until, self._done, self._look
        self._desks = {name: Desk(deployed[name], *common) for name in scenario.models}
        self._followers: dict[str, list[Desk]] = {name: [] for name in self._desks}
        for each in self._desks.values():
            after = each.tenant.arrivals.after if each.tenant.arrivals else None
            if after is not None:
                self._followers[after].append(each)

    def run(self, on_progress: OnProgress | None = None) -> Outcome:
        """Simulate to the end."""
        env = self._env
        for process in self._processes():
            env.process(process)
        env.process(self._clock(on_progress))
        env.run(self._finished)
        for name, rate in self._steady.items():
            size = rate * env.now / 1e6
            self._usage.moved(name, 0.0, env.now, Moved(size, size))
        records = {name: desk.record for name, desk in self._desks.items()}
        kept = self._served, self._slots, self._accounts
        return Outcome(records, self._usage, env.now, *kept)

    def _processes(self) -> Iterator[Steps]:
        for name, desk in self._desks.items():
            way = desk.tenant.arrivals
            assert way is not None
            yield from desk.processes(arrivals(way, generator(self._seed, name)))
        for name, tenant in self._scenario.tenants.items():
            frames = tenant.frames
            if frames is not None and frames.pattern == "bursts":
                yield self._every(1e6 / frames.fps, name, self._bursts(name, tenant.kind, frames))
            elif tenant.cpu is not None:
                yield self._every(tenant.cpu.every_ms * 1e3, name, self._works(name, tenant.cpu))
            elif tenant.npu is not None:
                partition = partition_of(self._scenario, tenant)
                steps = self._holds(name, tenant.npu, partition, tenant.priority)
                yield self._every(tenant.npu.every_ms * 1e3, name, steps)

    def _clock(self, on_progress: OnProgress | None) -> Steps:
        """The time in which requests come. It ticks whether anybody is told or not: the bits of a
        result do not depend on who watches."""
        for tick in range(1, TICKS + 1):
            yield self._env.timeout(max(0.0, self._until * tick / TICKS - self._env.now))
            if on_progress is not None:
                on_progress(tick / TICKS)
        self._over = True
        self._look()

    def _done(self, served: Served) -> None:
        begin, end = self._window
        if served.job.arrived_us < end and self._env.now > begin:
            self._served.append(served)
        if self._accounts:
            self._accounts[served.name].add(served.timeline)
        for follower in self._followers[served.name]:
            follower.come(Job(self._env.now, served.job.origin_us))

    def _look(self) -> None:
        """See whether all is done."""
        if self._over and not self._finished.triggered:
            if any(desk.open for desk in self._desks.values()):
                return
            self._finished.succeed()

    def _every(self, period_us: float, name: str, rounds: Iterator[Steps]) -> Steps:
        """One round of work after the other, each when it is due and the last one is over."""
        begin, end = self._window
        for number, work in zip(count(), rounds, strict=False):
            due = number * period_us
            if due > self._env.now:
                yield self._env.timeout(due - self._env.now)
            began = self._env.now
            yield from work
            if began < end and self._env.now > begin:
                self._slots.append(Slot(name, began, self._env.now))

    def _bursts(self, name: str, kind: str, frames: Frames) -> Iterator[Steps]:
        weights = self._soc.chip.dram.weights
        weight = {str(who): share for who, share in weights.items()}.get(kind, 1.0)

        def burst() -> Steps:
            began = self._env.now
            yield from self._soc.move(frames.frame_bytes, weight)
            size = frames.frame_bytes
            self._usage.moved(name, began, self._env.now, Moved(size, size))

        while True:
            yield burst()

    def _works(self, name: str, load: HostLoad) -> Iterator[Steps]:
        us = load.ms * 1e3

        def work() -> Steps:
            yield from self._soc.work(us, load.cores)
            now = self._env.now
            self._usage.cpu[name].add(now - us, now, us * load.cores)

        while True:
            yield work()

    def _holds(self, name: str, load: NpuLoad, partition: str, priority: int) -> Iterator[Steps]:
        us = load.ms * 1e3

        def hold() -> Steps:
            began = self._env.now
            yield from self._soc.hold(us, partition, priority, load.turn_ms * 1e3)
            self._usage.npu[name, partition].add(began, self._env.now, us)

        while True:
            yield hold()
