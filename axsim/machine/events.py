"""The machine: executions and other users of one DRAM, event by event.

Time goes from one event to the next: a task is computed, a transfer is complete. Nothing is random:
equal tasks give equal timings, to the last bit, wherever the time is stopped in between.
"""

from __future__ import annotations

from heapq import heappop
from math import inf

from axsim.compiler.program import Segment
from axsim.machine.dram import Dram
from axsim.machine.engines import Agenda, Execution


class Transfer:
    """Bytes that somebody else moves: a camera, a display, the CPU. ``finished`` once they are
    across."""

    def __init__(self) -> None:
        self.finished = False

    def go_on(self, ended: int, now: float) -> None:
        """The bytes are across."""
        self.finished = True


User = Execution | Transfer
"""Whoever the DRAM is shared between."""

ROUNDING_US = 1e-3
"""How far whoever keeps the time may be behind the machine: a nanosecond, which is more than
rounding amounts to in hours."""


class Machine:
    """Executions, each on engines of its own, and transfers of others share one DRAM.

    Whoever starts something keeps the time, in microseconds; events up to then come first. Those
    ahead may still change: whatever is started or closed before them re-times the transfers of all
    others.

    The machine's own clock starts at 0 whenever it had nothing to do, so that what runs alone is
    timed the same, to the last bit, at any time.
    """

    def __init__(self, dram_bytes_per_us: float) -> None:
        self._dram: Dram[tuple[User, int]] = Dram(dram_bytes_per_us)
        self._agenda: Agenda = []
        self._busy: set[User] = set()
        self._finished: list[User] = []  # not told yet
        self._started = 0
        self._origin = 0.0  # the time at which the machine's own clock was 0
        self._now = 0.0  # the last event, on that clock

    def start(self, segment: Segment, engines: int, now_us: float = 0.0) -> Execution:
        """Begin to execute a segment on ``engines`` drained engines of its own.

        Raises:
            ValueError: ``now_us`` is before the last event.
        """
        begin = self._clock(now_us)
        execution = Execution(segment, engines, self._agenda, self._dram, self._started, begin)
        self._started += 1
        self._enter(execution)
        return execution

    def open(self, size: float, now_us: float, weight: float = 1.0) -> Transfer:
        """Begin to move ``size`` bytes for somebody else, with a share of ``weight`` beside 1 of
        each transfer of an execution; infinitely many last until closed.

        Raises:
            ValueError: ``now_us`` is before the last event.
        """
        now = self._clock(now_us)
        transfer = Transfer()
        self._dram.open((transfer, 0), size, now, weight)
        self._enter(transfer)
        return transfer

    def close(self, transfer: Transfer, now_us: float) -> float:
        """Give up a transfer; the bytes that were left of it, none if it has finished.

        Raises:
            ValueError: ``now_us`` is before the last event.
        """
        if transfer.finished:
            return 0.0
        left = self._dram.close((transfer, 0), self._clock(now_us))
        self._busy.remove(transfer)
        return left

    @property
    def now_us(self) -> float:
        """When the last event was."""
        return self._origin + self._now

    @property
    def next_us(self) -> float:
        """When the next event will be if nothing is started or closed before; infinite when there
        is none."""
        return self._origin + self._next()

    def advance(self, until_us: float = inf) -> list[User]:
        """Go through the events up to and including those at ``until_us``, but not past one that
        finishes something: what has finished, or nothing when the horizon was first.

        Raises:
            ValueError: tasks wait for each other, or for one that stands behind them in their
                queue.
        """
        agenda, dram, origin = self._agenda, self._dram, self._origin
        while not self._finished:
            due = dram.due_us()
            if agenda and agenda[0][0] < due:
                if origin + agenda[0][0] > until_us:
                    break
                self._now, _, task, user = heappop(agenda)
                user.go_on(task, self._now)
                if user.finished:
                    self._leave(user)
            elif due < inf:
                if origin + due > until_us:
                    break
                self._now = due
                for mover, task in dram.complete(due):
                    mover.go_on(task, due)
                    if mover.finished:
                        self._leave(mover)
            else:
                self._expect_no_execution()
                break
        finished, self._finished = self._finished, []
        return finished

    def _enter(self, user: User) -> None:
        self._busy.add(user)
        if user.finished:  # it had no tasks
            self._leave(user)

    def _leave(self, user: User) -> None:
        self._busy.remove(user)
        self._finished.append(user)

    def _next(self) -> float:
        return min(self._agenda[0][0] if self._agenda else inf, self._dram.due_us())

    def _clock(self, now_us: float) -> float:
        """A time on the machine's own clock, after the events up to then."""
        if now_us < self.now_us - ROUNDING_US:
            raise ValueError(f"{now_us} us is before the last event, at {self.now_us} us")
        finished: list[User] = []
        while self._busy and self.next_us <= now_us:
            finished += self.advance(now_us)
        self._finished = finished + self._finished
        if not self._busy:
            self._origin, self._now = now_us, 0.0
            self._dram.restart()
        return max(self._now, min(now_us - self._origin, self._next()))

    def _expect_no_execution(self) -> None:
        for user in self._busy:
            if isinstance(user, Execution):
                raise ValueError(f"tasks of segment {user.segment.name!r} wait for each other")
