"""An NPU that several partitions have by turns: one works, the others wait for theirs.

How long the hardware's turns are is not published. Here whoever has the NPU keeps it as long as
nobody waits. Once somebody does, it goes on by pieces of work (a segment, after which engines and
on-chip memory are drained), and gives the NPU up at the end of one when it has had as much time as
who waits: partitions that are busy have equal parts of the time. Who was idle has saved up nothing
(start-time fair queueing; Goyal, Vin and Cheng, SIGCOMM 1996).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from simpy import Environment, Resource
from simpy.resources.resource import Request


class Turns:
    """Who has the NPU. ``on_wait``, if set, is called once when somebody begins to wait for it."""

    def __init__(self, env: Environment, partitions: Iterable[str]) -> None:
        self._env = env
        self._lock = Resource(env)
        self._had = dict.fromkeys(partitions, 0.0)  # time of each, or what counts as such
        self._there: set[str] = set()  # who has the NPU, or waits
        self._left = dict.fromkeys(self._had, -1.0)  # when each was there last
        self._holder: str | None = None  # who has it
        self._since = 0.0  # when that one was last charged
        self.on_wait: Callable[[], None] | None = None

    def ask(self, partition: str) -> Request:
        """An event: it is this partition's turn."""
        self._charge()
        others = [self._had[other] for other in self._there if other != partition]
        if others and self._left[partition] < self._env.now:  # it was idle
            self._had[partition] = max(self._had[partition], min(others))
        self._there.add(partition)
        turn = self._lock.request()
        if not turn.triggered and self.on_wait is not None:
            on_wait, self.on_wait = self.on_wait, None
            on_wait()
        return turn

    def begin(self, partition: str) -> None:
        """The turn has come."""
        self._holder, self._since = partition, self._env.now

    def gives_way(self, partition: str) -> bool:
        """Whether it is another's turn now that a piece of work of this partition has ended."""
        self._charge()
        if not self.wanted:
            return False
        others = [self._had[other] for other in self._there if other != partition]
        return self._had[partition] >= min(others)

    def end(self, turn: Request, partition: str) -> None:
        """Give the NPU to the next, or give up waiting for it."""
        self._charge()
        self._there.discard(partition)
        self._left[partition] = self._env.now
        if self._holder == partition:
            self._holder = None
        if turn.triggered:
            self._lock.release(turn)
        else:
            turn.cancel()

    def _charge(self) -> None:
        """Time goes to the one who has the NPU."""
        if self._holder is not None:
            self._had[self._holder] += self._env.now - self._since
            self._since = self._env.now

    @property
    def free(self) -> bool:
        """Whether nobody has it."""
        return not self._lock.users

    @property
    def wanted(self) -> bool:
        """Whether somebody waits."""
        return bool(self._lock.queue)
