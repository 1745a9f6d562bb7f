"""Timing one segment alone: by the machine, or by its compiled twin where that pays."""

from __future__ import annotations

from axsim.compiler.program import Segment
from axsim.kernels.twin import WhenItPays
from axsim.machine.events import Machine
from axsim.machine.timeline import Timing

PLAIN_TASKS = 200_000
"""Tasks that a process times in plain Python before it loads the compiled loop: 2.5 microseconds
each, compiled 0.1, on a 2.8 GHz Xeon."""

_loop = WhenItPays("axsim.machine.loop_numba", PLAIN_TASKS)


def simulate(segment: Segment, engines: int, dram_bytes_per_us: float) -> Timing:
    """Time one segment that is alone on a drained machine; see :meth:`Machine.start`.

    Raises:
        ValueError: tasks wait for each other, or for one that stands behind them in their queue.
    """
    loop = _loop.module()
    if loop is not None:
        timing: Timing = loop.time(segment, dram_bytes_per_us)
        return timing
    machine = Machine(dram_bytes_per_us)
    execution = machine.start(segment, engines)
    machine.advance()
    _loop.did(len(segment.tiling.engine))
    return execution.timing
