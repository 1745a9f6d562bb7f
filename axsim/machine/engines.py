"""The engines: each takes its tasks in order, one at a time, as soon as what they need is there.

Time goes from one end of a task to the next. Nothing is random: equal tasks give equal timings, to
the last bit.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from heapq import heappop, heappush
from math import inf

from axsim.compiler.program import Segment, Task
from axsim.machine.dram import Dram
from axsim.machine.timeline import Timing

Retire = Callable[[str], None]
"""Called with a graph node's name when the last tile of its step has retired."""


def simulate(
    segment: Segment,
    engines: int,
    dram_bytes_per_us: float,
    on_retire: Retire | None = None,
    nodes: Sequence[Sequence[str]] = (),
) -> Timing:
    """Time one segment on drained engines.

    With ``on_retire``, ``nodes`` are the graph nodes of each step: they retire in program order,
    once their step and all steps before it have ended.

    Raises:
        ValueError: tasks wait for each other, or for one that stands behind them in their queue.
    """
    tasks = segment.tasks
    queues = _queues(tasks, engines)
    dram = Dram(dram_bytes_per_us)
    computing: list[tuple[float, int]] = []  # a heap: when an engine will have done which task
    awaited: dict[int, list[int]] = {}  # task: engines that can't go on before it has ended
    start, end = [0.0] * len(tasks), [inf] * len(tasks)
    ended = None if on_retire is None else _Retirement(segment, on_retire, nodes).ended
    now = 0.0
    free = list(range(engines))
    while True:
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
                    dram.open(index, size, now)
                else:
                    heappush(computing, (now + duration, index))
        due = dram.due_us()
        if computing and computing[0][0] < due:
            now, index = heappop(computing)
            done = [index]
        elif due < inf:
            now = due
            done = dram.complete(now)
        else:
            break
        free = []
        for index in done:
            end[index] = now
            engine = tasks[index].engine
            queues[engine].pop()
            free.append(engine)
            if index in awaited:
                free += awaited.pop(index)
            if ended is not None:
                ended(tasks[index].step)
    if any(queues):
        raise ValueError(f"tasks of segment {segment.name!r} wait for each other")
    return Timing(tuple(start), tuple(end), now)


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
