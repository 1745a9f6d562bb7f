"""Timing one segment alone: by the machine, or by its compiled twin where that pays."""

from __future__ import annotations

from collections.abc import Sequence

from axsim.compiler.program import Segment
from axsim.kernels.twin import compiled
from axsim.machine.engines import Retire
from axsim.machine.events import Machine
from axsim.machine.timeline import Timing

PLAIN_TASKS = 200_000
"""Tasks that a process times in plain Python before it loads the compiled loop: they take about as
long (2.5 microseconds each, compiled 0.1) as loading numba and the loop, 0.5 s on a 2.8 GHz Xeon.
So nobody pays more than twice what the better choice would have cost, and a single run nothing."""


class Simulator:
    """Times segments, each alone on a drained machine.

    Plain Python at first; from ``plain_tasks`` tasks on the compiled loop, which has the same bits,
    where the extra ``fast`` is installed.
    """

    def __init__(self, plain_tasks: int = PLAIN_TASKS) -> None:
        self._plain_tasks = plain_tasks

    def __call__(
        self,
        segment: Segment,
        engines: int,
        dram_bytes_per_us: float,
        on_retire: Retire | None = None,
        nodes: Sequence[Sequence[str]] = (),
    ) -> Timing:
        """The timing of ``segment``; see :meth:`axsim.machine.events.Machine.start`.

        Raises:
            ValueError: tasks wait for each other, or for one that stands behind them in their
                queue.
        """
        if on_retire is None and self._plain_tasks <= 0:
            loop = compiled("axsim.machine.loop_numba")
            if loop is not None:
                timing: Timing = loop.time(segment, dram_bytes_per_us)
                return timing
        self._plain_tasks -= len(segment.durations_us)
        machine = Machine(dram_bytes_per_us)
        execution = machine.start(segment, engines, on_retire=on_retire, nodes=nodes)
        machine.advance()
        return execution.timing


simulate = Simulator()
"""The simulator of this process."""
