"""The machine once more, with SimPy's processes and events: an oracle that shares no code."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any

import simpy

from axsim.compiler.program import Segment

Times = tuple[list[float], list[float], float]
"""Start and end of each task, and when the last process had nothing left to do."""


class Dram:
    """Open transfers share ``bytes_per_us`` evenly."""

    def __init__(self, env: simpy.Environment, bytes_per_us: float) -> None:
        self._env = env
        self._rate = bytes_per_us
        self._open: dict[simpy.Event, float] = {}  # completion event: bytes left
        self._updated = 0.0
        self._timer: object = None

    def transfer(self, size: float) -> simpy.Event:
        """An event that succeeds when ``size`` bytes have crossed the interface."""
        self._progress()
        done = self._env.event()
        self._open[done] = size
        self._schedule()
        return done

    def _progress(self) -> None:
        elapsed = self._env.now - self._updated
        self._updated = self._env.now
        if elapsed and self._open:
            moved = elapsed * self._rate / len(self._open)
            for done in self._open:
                self._open[done] -= moved

    def _schedule(self) -> None:
        if not self._open:
            return
        wait = max(0.0, min(self._open.values())) * len(self._open) / self._rate
        timer = self._env.timeout(wait)
        self._timer = timer
        timer.callbacks.append(self._wake)

    def _wake(self, event: simpy.Event) -> None:
        if event is not self._timer:
            return  # another transfer started or ended meanwhile
        self._progress()
        least = min(self._open.values())
        complete = [done for done, left in self._open.items() if left <= max(least, 1e-6)]
        for done in complete:
            del self._open[done]
            done.succeed()
        self._schedule()


class Run:
    """One segment on engines of its own, from the environment's time on: when its tasks start and
    end, and ``done``, which succeeds with the last of them."""

    def __init__(self, env: simpy.Environment, dram: Dram, segment: Segment, engines: int) -> None:
        tasks = segment.tasks
        self.start, self.end = [0.0] * len(tasks), [0.0] * len(tasks)
        ended = [env.event() for _ in tasks]

        def engine(queue: Sequence[int]) -> Generator[simpy.Event, Any, None]:
            for index in queue:
                task = tasks[index]
                for needed in task.deps:
                    if not ended[needed].triggered:
                        yield ended[needed]
                self.start[index] = env.now
                if task.dram_cost_bytes:
                    yield dram.transfer(task.dram_cost_bytes)
                elif task.duration_us:
                    yield env.timeout(task.duration_us)
                self.end[index] = env.now
                ended[index].succeed()

        for number in range(engines):
            queue = [index for index, task in enumerate(tasks) if task.engine == number]
            env.process(engine(queue))
        self.done = env.all_of(ended)


def times(segment: Segment, engines: int, dram_bytes_per_us: float) -> Times:
    """What :func:`axsim.machine.simulate.simulate` finds."""
    env = simpy.Environment()
    run = Run(env, Dram(env, dram_bytes_per_us), segment, engines)
    env.run()
    return run.start, run.end, float(env.now)
