"""The NPU: runs programs segment by segment on its engines."""

from __future__ import annotations

from axsim.compiler.program import Program, Segment
from axsim.machine.engines import Retire
from axsim.machine.simulate import simulate
from axsim.machine.timeline import Timeline, Timing


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
                for step in nodes:
                    for node in step:
                        on_retire(node)
            offsets.append(now)
            timings.append(timing)
            now += timing.end_us
        return Timeline(program, tuple(offsets), tuple(timings), now + program.invocation_us / 2)
