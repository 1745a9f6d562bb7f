"""A chip in simulated time, for whoever is on it: NPU partitions, the host's cores and the DRAM.

SimPy's clock counts microseconds. While one user is alone on the NPU and the DRAM, its invocation
is one timeout, since the machine is known to repeat itself. When somebody joins, the segment under
way is taken to that moment event by event, and from then on the machine runs up to SimPy's next
event at a time.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Generator, Mapping
from itertools import accumulate
from math import inf
from typing import Any

from simpy import Container, Environment, Event, Resource

from axsim.compiler.program import Program, Segment
from axsim.errors import InputError, Problem
from axsim.machine.engines import Execution
from axsim.machine.events import Machine, User
from axsim.machine.npu import Npu
from axsim.machine.timeline import Timeline, Timing
from axsim.spec.chip import Chip

Steps = Generator[Event, Any, Any]
"""What SimPy processes are made of."""
Ending = tuple["Execution | None", Event]
"""What goes on event by event, nothing for a fixed time, and when it ends."""


class Soc:
    """One chip. ``partitions`` are NPU modes by name, whose resource groups together are no more
    than the chip has; by default one partition ``npu`` of the chip's default mode.

    Each partition runs one invocation at a time to its end, in the order of asking. ``cpu`` holds
    the host's free cores. Without ``replay`` every segment is simulated.

    Raises:
        InputError: the chip has no such mode, or the partitions overlap.
    """

    def __init__(
        self,
        env: Environment,
        chip: Chip,
        partitions: Mapping[str, str] | None = None,
        *,
        npu: Npu | None = None,
        replay: bool = True,
    ) -> None:
        partitions = partitions or {"npu": chip.default_mode}
        groups = {name: chip.mode(mode).groups for name, mode in partitions.items()}
        if sum(groups.values()) > chip.npu.resource_groups:
            wanted = ", ".join(f"{name}: {count}" for name, count in groups.items())
            what = f"{wanted} resource groups overlap ({chip.name} has {chip.npu.resource_groups})"
            raise InputError(Problem("", "partitions", what))
        self.env = env
        self.chip = chip
        self.cpu = Container(env, chip.cpu.cores, chip.cpu.cores)
        self.partitions = {name: Resource(env) for name in partitions}
        self.npu = npu or Npu()
        self._replay = replay
        self._machine = Machine(chip.sustained_gbps * 1e3)
        self._users = 0  # invocations and transfers under way
        self.on_join: Callable[[], None] | None = None  # of the invocation that is alone
        self._ends: dict[User, Event] = {}  # of what the machine does event by event
        self._driven = False

    def work(self, us: float, cores: int = 1) -> Steps:
        """Take so many of the host's cores for so long. Returns when it began."""
        yield self.cpu.get(cores)
        began = self.env.now
        try:
            yield self.env.timeout(us)
        finally:
            self.cpu.put(cores)
        return began

    def invoke(self, program: Program, partition: str = "npu") -> Steps:
        """Run a program on a partition, once that is free. Returns when it began, and its
        timeline."""
        with self.partitions[partition].request() as turn:
            yield turn
            began = self.env.now
            self._join()
            try:
                timeline: Timeline = yield from _Invocation(self, program).run()
            finally:
                self._users -= 1
        return began, timeline

    def move(self, size: float) -> Steps:
        """Move ``size`` bytes through the DRAM interface for somebody who is not the NPU."""
        self._join()
        transfer = self._machine.open(size, self.env.now)
        try:
            yield self._end_of(transfer)
        finally:
            self._machine.close(transfer, self.env.now)
            self._ends.pop(transfer, None)
            self._users -= 1

    def _join(self) -> None:
        """Somebody begins: whoever was alone is so no longer."""
        self._users += 1
        if self.on_join is not None:
            on_join, self.on_join = self.on_join, None
            on_join()

    def start(self, segment: Segment, engines: int, began: float) -> Ending:
        """For invocations: execute a segment event by event as of ``began``."""
        execution = self._machine.start(segment, engines, began)
        return execution, self._end_of(execution)

    @property
    def replays(self) -> bool:
        """Whether an invocation under way is alone, so that it takes the time that is known."""
        return self._replay and self._users == 1

    def _end_of(self, user: User) -> Event:
        """When the machine will have finished something that it does event by event."""
        self._ends[user] = self.env.event()
        if not self._driven:
            self._driven = True
            self.env.process(self._drive())
        return self._ends[user]

    def _drive(self) -> Steps:
        """Take the machine from one of SimPy's events to the next as long as it has something to
        do: nobody can begin anything in between."""
        env, machine = self.env, self._machine
        while self._ends:
            finished = machine.advance(env.peek())
            until = machine.now_us if finished else env.peek()
            if until == inf:  # endless transfers are all that is left
                break
            yield env.timeout(max(0.0, until - env.now))
            for user in finished:
                if user in self._ends:
                    self._ends.pop(user).succeed()
        self._driven = False


class _Invocation:
    """One run of a program. Its pieces are the first half of the fixed cost, the segments, and the
    other half; those of the past are in ``_timings``."""

    def __init__(self, soc: Soc, program: Program) -> None:
        self._soc, self._env, self._program = soc, soc.env, program
        self._pieces: tuple[Segment | None, ...] = (None, *program.segments, None)
        self._timings: list[Timing] = []
        self._piece = 0  # the one under way

    def run(self) -> Steps:
        """All pieces, one after the other. Returns the timeline."""
        while self._piece < len(self._pieces):
            if self._soc.replays:
                known = self._soc.npu.run(self._program)
                if (yield from self._replay(known)):
                    return known
            else:
                ends = self._start(self._pieces[self._piece], self._env.now)
                yield from self._finish(ends)
        return Timeline.of(self._program, self._timings)

    def _start(self, piece: Segment | None, began: float) -> Ending:
        """Begin a piece, event by event, as of ``began``."""
        if piece is not None:
            return self._soc.start(piece, len(self._program.engines), began)
        left = began + self._program.invocation_us / 2 - self._env.now
        return None, self._env.timeout(max(0.0, left))

    def _finish(self, ending: Ending) -> Steps:
        """Wait for the end of a piece."""
        execution, end = ending
        yield end
        if execution is not None:
            self._timings.append(execution.timing)
        self._piece += 1

    def _replay(self, known: Timeline) -> Steps:
        """Let the pieces that are left take their known time, until somebody joins: then that one
        is taken to this moment and finished event by event. Returns whether it was the whole
        program."""
        half = self._program.invocation_us / 2
        first, env = self._piece, self._env
        lengths = [half, *(timing.end_us for timing in known.timings), half][first:]
        begins = list(accumulate(lengths, initial=env.now))
        joined, ending = env.event(), None

        def join() -> None:
            nonlocal ending
            done = bisect_right(begins, env.now) - 1
            self._piece += done
            self._timings += known.timings[max(0, first - 1) : max(0, self._piece - 1)]
            if done < len(lengths):
                ending = self._start(self._pieces[self._piece], begins[done])
            joined.succeed()

        self._soc.on_join = join
        try:
            yield env.timeout(sum(lengths) if first else known.duration_us) | joined
        finally:  # given up, too
            self._soc.on_join = None
        if joined.triggered:
            if ending is not None:
                yield from self._finish(ending)
            return False
        self._timings += known.timings[max(0, first - 1) :]
        self._piece = len(self._pieces)
        return first == 0
