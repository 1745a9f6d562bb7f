"""A chip in simulated time, for whoever is on it: NPU partitions, the host's cores and the DRAM.

SimPy's clock counts microseconds. While one user is alone on the NPU and the DRAM, its invocation
is one timeout, since the machine is known to repeat itself. When somebody joins, the segment under
way is taken to that moment event by event, and from then on the machine runs up to SimPy's next
event at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import inf

from simpy import Container, Environment, Event, PriorityResource

from axsim.compiler.program import Program, Segment
from axsim.machine.events import Machine, User
from axsim.machine.npu import Npu
from axsim.machine.timeline import Timeline
from axsim.spec.chip import Chip
from axsim.system.invocation import Ending, Invocation, Steps
from axsim.system.time_slices import Turns


class Soc:
    """One chip. ``partitions`` are NPU modes by name, whose resource groups together are no more
    than the chip has, or which have it by turns; by default one partition ``npu`` of the chip's
    default mode.

    Each partition runs one invocation at a time to its end: of those that wait, the smallest
    ``priority`` first, equal ones in the order of asking. ``cpu`` holds the host's free cores.
    ``taken_gbps`` of the DRAM's bandwidth belong to others all the time. Without ``replay`` every
    segment is simulated.

    Raises:
        InputError: the chip has no such mode, or the partitions overlap.
    """

    def __init__(
        self,
        env: Environment,
        chip: Chip,
        partitions: Mapping[str, str] | None = None,
        *,
        taken_gbps: float = 0.0,
        npu: Npu | None = None,
        replay: bool = True,
    ) -> None:
        partitions = partitions or {"npu": chip.default_mode}
        self.env = env
        self.chip = chip
        self.cpu = Container(env, chip.cpu.cores, chip.cpu.cores)
        self.partitions = {name: PriorityResource(env) for name in partitions}
        self.turns = Turns(env, partitions) if chip.by_turns(partitions) else None
        taken = taken_gbps * 1e3
        self.npu = npu or Npu(taken_bytes_per_us=taken)
        self._replay = replay
        self._timelines: dict[Program, Timeline] = {}
        self._machine = Machine(chip.sustained_gbps * 1e3 - taken)
        self._users = 0  # invocations and transfers under way
        self.on_join: Callable[[], None] | None = None  # of the invocation that is alone
        self._ends: dict[User, Event] = {}  # of what the machine does event by event
        self._driven = False

    def work(self, us: float, cores: int = 1) -> Steps:
        """Take so many of the host's cores for so long. Returns how long it waited for them."""
        asked = self.env.now
        yield self.cpu.get(cores)
        waited = self.env.now - asked
        try:
            yield self.env.timeout(us)
        finally:
            given = self.cpu.put(cores)
        yield given  # or whoever is alone would see something still to happen now
        return waited

    def invoke(self, program: Program, partition: str = "npu", priority: int = 0) -> Steps:
        """Run a program on a partition, once that is free. Returns how long it waited, for its
        turns too, and its timeline."""
        asked, npu = self.env.now, self.partitions[partition]
        turn = npu.request(priority)
        try:
            yield turn
            waited = self.env.now - asked
            invocation = Invocation(self, program, partition)
            timeline: Timeline = yield from invocation.run()
        finally:
            turn.cancel()
            left = npu.release(turn)
        yield left  # or whoever is alone would see something still to happen now
        return waited + invocation.waited_us, timeline

    def hold(
        self, us: float, partition: str = "npu", priority: int = 0, turn_us: float = inf
    ) -> Steps:
        """Keep a partition busy with work that no program describes, and that leaves the DRAM
        alone; where partitions take turns, for ``turn_us`` at a time while another waits."""
        with self.partitions[partition].request(priority) as free:
            yield free
            if self.turns is None:
                yield self.env.timeout(us)
            else:
                yield from self._hold_by_turns(self.turns, us, partition, turn_us)

    def _hold_by_turns(self, turns: Turns, left: float, partition: str, turn_us: float) -> Steps:
        while left > 0:
            turn = turns.ask(partition)
            try:
                yield turn
                turns.begin(partition)
                while left > 0:
                    left -= yield from self._keep(turns, left, turn_us)
                    if turns.gives_way(partition):
                        break
            finally:
                turns.end(turn, partition)

    def _keep(self, turns: Turns, us: float, turn_us: float) -> Steps:
        """Keep the NPU for so long, or to the end of the piece in which another begins to wait.
        Returns how long it was."""
        if turns.wanted:
            piece = min(us, turn_us)
            yield self.env.timeout(piece)
            return piece
        began, noticed = self.env.now, self.env.event()

        def notice() -> None:
            noticed.succeed()

        turns.on_wait = notice
        try:
            yield self.env.timeout(us) | noticed
        finally:
            turns.on_wait = None
        had = self.env.now - began
        if not noticed.triggered or had >= us:
            return us
        whole: float = min(us, (had // turn_us + 1) * turn_us)
        yield self.env.timeout(whole - had)
        return whole

    def move(self, size: float, weight: float = 1.0) -> Steps:
        """Move ``size`` bytes through the DRAM interface for somebody who is not the NPU, with a
        share of ``weight`` beside 1 of each transfer of the NPU."""
        yield from self.join(self._move(size, weight))

    def _move(self, size: float, weight: float) -> Steps:
        transfer = self._machine.open(size, self.env.now, weight)
        try:
            yield self._end_of(transfer)
        finally:
            self._machine.close(transfer, self.env.now)
            self._ends.pop(transfer, None)

    def join(self, use: Steps) -> Steps:
        """Use the NPU or the DRAM: whoever was alone is so no longer."""
        self._users += 1
        if self.on_join is not None:
            on_join, self.on_join = self.on_join, None
            on_join()
        try:
            return (yield from use)
        finally:
            self._users -= 1

    def known(self, program: Program) -> Timeline:
        """What a program takes alone."""
        if program not in self._timelines:
            self._timelines[program] = self.npu.run(program)
        return self._timelines[program]

    def undisturbed_us(self, partition: str, cores: int) -> float:
        """For how long whoever asks now is sure to have a partition, so many cores and the DRAM at
        once and alone; 0 when somebody else has them now."""
        npu = self.partitions[partition]
        if (
            self._users
            or npu.users
            or npu.queue
            or self.cpu.level < cores
            or self.cpu.get_queue
            or not self._replay
            or (self.turns is not None and not self.turns.free)
        ):
            return 0.0
        return self.env.peek() - self.env.now

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
