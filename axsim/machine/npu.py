"""The machine: engines that take their tasks in order and share the DRAM, simulated with SimPy."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from typing import Any

import simpy

from axsim.compiler.program import Program, Segment
from axsim.machine.dram import Dram
from axsim.machine.timeline import Timeline, Timing

Retire = Callable[[str], None]
"""Called with a graph node's name when the last tile of its step has retired."""


class Npu:
    """Runs programs. Segments that were timed once are replayed, unless ``replay`` is False: they
    start from a drained machine and depend on nothing but their tasks, so the result is the same.
    """

    def __init__(self, replay: bool = True) -> None:
        self._replay = replay
        self._known: dict[Segment, Timing] = {}

    def run(self, program: Program, on_retire: Retire | None = None) -> Timeline:
        """Execute ``program`` from a drained machine; the timeline starts at 0 microseconds.

        With ``on_retire`` the numeric kernels run along; the timeline is the same without.
        """
        now = program.invocation_us / 2
        offsets, timings = [], []
        for segment, nodes in zip(program.segments, program.nodes, strict=True):
            timing = self._known.get(segment) if self._replay else None
            if timing is None:
                timing = simulate(
                    segment, len(program.engines), program.dram_bytes_per_us, on_retire, nodes
                )
                self._known[segment] = timing
            elif on_retire is not None:
                for step in timing.retired:
                    for node in nodes[step]:
                        on_retire(node)
            offsets.append(now)
            timings.append(timing)
            now += timing.end_us
        return Timeline(program, tuple(offsets), tuple(timings), now + program.invocation_us / 2)


def simulate(
    segment: Segment,
    engines: int,
    dram_bytes_per_us: float,
    on_retire: Retire | None = None,
    nodes: Sequence[Sequence[str]] = (),
) -> Timing:
    """Time one segment on drained engines."""
    env = simpy.Environment()
    dram = Dram(env, dram_bytes_per_us)
    queues: list[list[int]] = [[] for _ in range(engines)]
    for index, task in enumerate(segment.tasks):
        queues[task.engine].append(index)
    tasks = segment.tasks
    ended = [False] * len(tasks)
    awaited: dict[int, simpy.Event] = {}  # only tasks that somebody waits for need an event
    start, end = [0.0] * len(tasks), [0.0] * len(tasks)
    open_tasks = [0] * len(segment.steps)
    for task in tasks:
        open_tasks[task.step] += 1
    retired: list[int] = []
    done = [False] * len(segment.steps)

    def retire() -> None:
        # Program order: a step retires once it and all steps before it have finished.
        while len(retired) < len(done) and done[len(retired)]:
            step = len(retired)
            retired.append(step)
            if on_retire is not None:
                for node in nodes[step]:
                    on_retire(node)

    def engine(queue: Sequence[int]) -> Generator[simpy.Event, Any, None]:
        for index in queue:
            task = tasks[index]
            for dependency in task.deps:
                if not ended[dependency]:
                    if dependency not in awaited:
                        awaited[dependency] = env.event()
                    yield awaited[dependency]
            start[index] = env.now
            if task.dram_cost_bytes:
                yield dram.transfer(task.dram_cost_bytes)
                least = start[index] + task.duration_us
                if env.now < least:
                    yield env.timeout(least - env.now)
            elif task.duration_us:
                yield env.timeout(task.duration_us)
            end[index] = env.now
            ended[index] = True
            if index in awaited:
                awaited[index].succeed()
            open_tasks[task.step] -= 1
            if not open_tasks[task.step]:
                done[task.step] = True
                retire()

    for queue in queues:
        if queue:
            env.process(engine(queue))
    env.run()
    return Timing(tuple(start), tuple(end), tuple(retired), float(env.now))
