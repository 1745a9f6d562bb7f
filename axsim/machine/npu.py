"""The NPU: runs programs segment by segment on its engines."""

from __future__ import annotations

from axsim.compiler.program import Program, Segment
from axsim.machine.simulate import simulate
from axsim.machine.timeline import Timeline, Timing


class Npu:
    """Runs programs. Segments that were timed once are replayed, unless ``replay`` is False: they
    start from a drained machine and depend on nothing but their tasks, so the result is the same.
    """

    def __init__(self, replay: bool = True) -> None:
        self._replay = replay
        self._known: dict[Segment, Timing] = {}

    def run(self, program: Program) -> Timeline:
        """Execute ``program`` from a drained machine; the timeline starts at 0 microseconds."""
        return Timeline.of(program, [self._time(segment, program) for segment in program.segments])

    def _time(self, segment: Segment, program: Program) -> Timing:
        timing = self._known.get(segment) if self._replay else None
        if timing is None:
            timing = simulate(segment, len(program.engines), program.dram_bytes_per_us)
            self._known[segment] = timing
        return timing
