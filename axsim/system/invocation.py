"""One run of a program on a chip that others may join at any moment.

As long as nobody else uses the NPU or the DRAM, what is left of it takes the time that is known.
When somebody joins, the segment under way is taken to that moment event by event.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Generator
from itertools import accumulate
from typing import Any, Protocol

from simpy import Environment, Event

from axsim.compiler.program import Program, Segment
from axsim.machine.engines import Execution
from axsim.machine.timeline import Timeline, Timing
from axsim.system.time_slices import Turns

Steps = Generator[Event, Any, Any]
"""What SimPy processes are made of."""
Ending = tuple["Execution | None", Event]
"""What goes on event by event, nothing for a fixed time, and when it ends."""


class Shared(Protocol):
    """What an invocation asks of its chip: :class:`axsim.system.soc.Soc`."""

    env: Environment
    turns: Turns | None
    on_join: Callable[[], None] | None

    @property
    def replays(self) -> bool:
        """Whether it is alone, so that it takes the time that is known."""

    def known(self, program: Program) -> Timeline:
        """That time."""

    def join(self, use: Steps) -> Steps:
        """Use the NPU or the DRAM; whoever was alone is so no longer."""

    def start(self, segment: Segment, engines: int, began: float) -> Ending:
        """Execute a segment event by event as of ``began``."""


class Invocation:
    """Its pieces are the first half of the fixed cost, the segments, and the other half; those of
    the past are in ``_timings``. ``waited_us`` is what it has waited for its turns."""

    def __init__(self, soc: Shared, program: Program, partition: str) -> None:
        self._soc, self._env, self._program = soc, soc.env, program
        self._partition = partition
        self._pieces: tuple[Segment | None, ...] = (None, *program.segments, None)
        self._timings: list[Timing] = []
        self._piece = 0  # the one under way
        self.waited_us = 0.0

    def run(self) -> Steps:
        """All pieces, one after the other. Returns the timeline."""
        soc, turns = self._soc, self._soc.turns
        known: Timeline | None = None
        while self._piece < len(self._pieces):
            if turns is None:
                known = yield from soc.join(self._go_on())
                continue
            asked, turn = self._env.now, turns.ask(self._partition)
            try:
                yield turn
                turns.begin(self._partition)
                self.waited_us += self._env.now - asked
                known = yield from soc.join(self._go_on())
            finally:
                turns.end(turn, self._partition)
        return known or Timeline.of(self._program, self._timings)

    def _go_on(self) -> Steps:
        """Piece after piece, until it is another's turn. Returns the timeline when the whole
        program took its known time."""
        turns = self._soc.turns
        while self._piece < len(self._pieces):
            if self._soc.replays:
                known = self._soc.known(self._program)
                if (yield from self._replay(known)):
                    return known
            else:
                yield from self._finish(self._start(self._pieces[self._piece], self._env.now))
            at_a_segment = 1 < self._piece < len(self._pieces) - 1
            if turns is not None and at_a_segment and turns.gives_way(self._partition):
                break
        return None

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
        is taken to this moment and finished event by event; or until another waits for the turn:
        then that one is the last. Returns whether it was the whole program."""
        half = self._program.invocation_us / 2
        first, env, turns = self._piece, self._env, self._soc.turns
        lengths = [half, *(timing.end_us for timing in known.timings), half][first:]
        begins = list(accumulate(lengths, initial=env.now))
        last = len(lengths)  # of the pieces to go through, the first one that is not
        noticed, ending, joined = env.event(), None, False

        def join() -> None:
            nonlocal ending, last, joined
            joined, last = True, bisect_right(begins, env.now) - 1
            if last < len(lengths):
                ending = self._start(self._pieces[first + last], begins[last])
            notice()

        def wait() -> None:
            nonlocal last
            piece = max(2, first + bisect_right(begins, env.now))
            if piece < len(self._pieces) - 1:
                last = min(last, piece - first)
            notice()

        def notice() -> None:
            if not noticed.triggered:
                noticed.succeed()

        whole = sum(lengths) if first else known.duration_us
        self._soc.on_join = join
        if turns is not None:
            turns.on_wait = wait
            if turns.wanted:
                wait()
        try:
            if env.now + whole < env.peek():  # nobody can come before
                yield env.timeout(whole)
            else:
                goal = env.timeout(whole)
                yield goal | noticed
                while not joined and not goal.processed:
                    if last < len(lengths):
                        goal = env.timeout(max(0.0, begins[last] - env.now))
                    noticed = env.event()
                    yield goal | noticed
        finally:  # given up, too
            self._soc.on_join = None
            if turns is not None:
                turns.on_wait = None
        self._piece = first + last
        self._timings += known.timings[max(0, first - 1) : max(0, self._piece - 1)]
        if ending is not None:
            yield from self._finish(ending)
        return not first and ending is None and last == len(lengths)
