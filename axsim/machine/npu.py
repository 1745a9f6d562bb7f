"""The NPU: runs programs segment by segment on its engines."""

from __future__ import annotations

from axsim.compiler.program import Program, Segment
from axsim.machine.simulate import simulate
from axsim.machine.timeline import Timeline, Timing


class Npu:
    """Runs programs. Segments that were timed once are replayed, unless ``replay`` is False: they
    start from a drained machine and depend on nothing but their tasks, so the result is the same.
    ``taken_bytes_per_us`` of the DRAM's bandwidth belong to others all the time.
    """

    def __init__(self, replay: bool = True, taken_bytes_per_us: float = 0.0) -> None:
        self._replay = replay
        self._taken = taken_bytes_per_us
        self._known: dict[Segment, Timing] = {}

    def run(self, program: Program) -> Timeline:
        """Execute ``program`` from a drained machine; the timeline starts at 0 microseconds."""
        return Timeline.of(program, [self._time(segment, program) for segment in program.segments])

    def _time(self, segment: Segment, program: Program) -> Timing:
        timing = self._known.get(segment) if self._replay else None
        if timing is None:
            rate = program.dram_bytes_per_us - self._taken
            timing = simulate(segment, len(program.engines), rate)
            self._known[segment] = timing
        return timing
