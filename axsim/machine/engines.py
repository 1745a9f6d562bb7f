"""The engines: each takes its tasks in order, one at a time, as soon as what they need is there."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from heapq import heappush
from math import inf
from typing import Any

from axsim.compiler.program import Segment, Task
from axsim.machine.dram import Dram
from axsim.machine.timeline import Timing

Agenda = list[tuple[float, int, int, "Execution"]]
"""A heap: when which task of which execution will have been computed; equal times go by the order
of the executions, then of their tasks."""


class Execution:
    """One segment on engines of its own; :meth:`axsim.machine.events.Machine.start` begins it.

    ``agenda`` and ``dram`` are the machine's: when which task will have been computed, and what is
    being moved. ``order`` decides between executions where events coincide; ``begin_us`` is on the
    machine's clock.
    """

    def __init__(
        self,
        segment: Segment,
        engines: int,
        agenda: Agenda,
        dram: Dram[Any],
        order: int,
        begin_us: float,
    ) -> None:
        self.segment = segment
        self._agenda, self._dram, self._order = agenda, dram, order
        self._tasks = segment.tasks
        self._queues = _queues(segment.tasks, engines)
        self._awaited: dict[int, list[int]] = {}  # task: engines that can't go on before its end
        self._begin = self._last = begin_us
        self._start, self._end = [0.0] * len(segment.tasks), [inf] * len(segment.tasks)
        self._unfinished = len(segment.tasks)
        self.finished = not segment.tasks
        self._issue(range(engines), begin_us)

    @property
    def timing(self) -> Timing:
        """When each task started and ended, from the start of the execution on.

        Raises:
            ValueError: it has not finished.
        """
        if not self.finished:
            raise ValueError(f"segment {self.segment.name!r} has not finished")
        begin = self._begin
        start, end = (tuple(time - begin for time in times) for times in (self._start, self._end))
        return Timing(start, end, self._last - begin)

    def go_on(self, ended: int, now: float) -> None:
        """A task has ended: start what waited for it, and the next one of its engine."""
        self._end[ended] = self._last = now
        engine = self._tasks[ended].engine
        self._queues[engine].pop()
        self._unfinished -= 1
        self.finished = not self._unfinished
        self._issue((engine, *self._awaited.pop(ended, ())), now)

    def _issue(self, engines: Iterable[int], now: float) -> None:
        """Start the next task of each of these engines, unless it has to wait."""
        queues, end = self._queues, self._end
        for engine in engines:
            if not queues[engine]:
                continue
            index = queues[engine][-1]
            _, _, _, duration, _, size, deps = self._tasks[index]
            for needed in deps:
                if end[needed] > now:
                    self._awaited.setdefault(needed, []).append(engine)
                    break
            else:
                self._start[index] = now
                if size:
                    self._dram.open((self, index), size, now)
                else:
                    heappush(self._agenda, (now + duration, self._order, index, self))


def _queues(tasks: Sequence[Task], engines: int) -> list[list[int]]:
    """The tasks of each engine, the first one last."""
    queues: list[list[int]] = [[] for _ in range(engines)]
    for index in range(len(tasks) - 1, -1, -1):
        queues[tasks[index].engine].append(index)
    return queues
