"""The engines: each takes its tasks in order, one at a time, as soon as what they need is there."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from heapq import heappush
from math import inf
from typing import Any

from axsim.compiler.program import Segment, Task
from axsim.machine.dram import Dram
from axsim.machine.timeline import Timing

Retire = Callable[[str], None]
"""Called with a graph node's name when the last tile of its step has retired."""

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
        on_retire: Retire | None = None,
        nodes: Sequence[Sequence[str]] = (),
    ) -> None:
        self.segment = segment
        self._agenda, self._dram, self._order = agenda, dram, order
        self._queues = _queues(segment.tasks, engines)
        self._awaited: dict[int, list[int]] = {}  # task: engines that can't go on before its end
        self._begin = self._last = begin_us
        self._start, self._end = [0.0] * len(segment.tasks), [inf] * len(segment.tasks)
        self._unfinished = len(segment.tasks)
        self._retire = None if on_retire is None else _Retirement(segment, on_retire, nodes).ended
        self.go_on((), begin_us, range(engines))

    @property
    def finished(self) -> bool:
        """Whether every task has ended."""
        return not self._unfinished

    @property
    def timing(self) -> Timing:
        """When each task started and ended, from the start of the execution on.

        Raises:
            ValueError: it has not finished.
        """
        if self._unfinished:
            raise ValueError(f"segment {self.segment.name!r} has not finished")
        begin = self._begin
        start, end = (tuple(time - begin for time in times) for times in (self._start, self._end))
        return Timing(start, end, self._last - begin)

    def go_on(self, ended: Sequence[int], now: float, free: Iterable[int] = ()) -> None:
        """Tasks have ended: start what waited for them, on the engines that this makes free."""
        tasks, start, end = self.segment.tasks, self._start, self._end
        queues, awaited = self._queues, self._awaited
        free = list(free)
        for index in ended:
            end[index] = now
            engine = tasks[index].engine
            queues[engine].pop()
            free.append(engine)
            if index in awaited:
                free += awaited.pop(index)
            if self._retire is not None:
                self._retire(tasks[index].step)
        self._unfinished -= len(ended)
        self._last = now
        for engine in free:
            if not queues[engine]:
                continue
            index = queues[engine][-1]
            _, _, _, duration, _, size, deps = tasks[index]
            for needed in deps:
                if end[needed] > now:
                    awaited.setdefault(needed, []).append(engine)
                    break
            else:
                start[index] = now
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


class _Retirement:
    """Steps retire in program order, whatever the order in which their tasks end."""

    def __init__(self, segment: Segment, on_retire: Retire, nodes: Sequence[Sequence[str]]) -> None:
        self._on_retire, self._nodes = on_retire, nodes
        self._open = [0] * len(segment.steps)  # tasks that have not ended
        for task in segment.tasks:
            self._open[task.step] += 1
        self._next = 0

    def ended(self, step: int) -> None:
        """A task of ``step`` has ended."""
        self._open[step] -= 1
        while self._next < len(self._open) and not self._open[self._next]:
            for node in self._nodes[self._next]:
                self._on_retire(node)
            self._next += 1
