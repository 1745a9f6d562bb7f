"""What happened when: the result of running a program."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from axsim.compiler.program import Program, Segment, Task


@dataclass(frozen=True)
class Timing:
    """Start and end of each task of a segment in microseconds from the segment's start, and when
    the machine was drained."""

    start_us: tuple[float, ...]
    end_us_of: tuple[float, ...]
    end_us: float


class Slice(NamedTuple):
    """One task on the timeline."""

    segment: Segment
    task: Task
    start_us: float
    end_us: float


@dataclass(frozen=True)
class Timeline:
    """A program's execution: when each segment starts, the timing inside it, and the whole
    duration, the invocation's fixed cost included."""

    program: Program
    offsets_us: tuple[float, ...]
    timings: tuple[Timing, ...]
    duration_us: float

    @classmethod
    def of(cls, program: Program, timings: Iterable[Timing]) -> Timeline:
        """One segment after the other, between the halves of the invocation's fixed cost."""
        now = program.invocation_us / 2
        offsets, timings = [], tuple(timings)
        for timing in timings:
            offsets.append(now)
            now += timing.end_us
        return cls(program, tuple(offsets), timings, now + program.invocation_us / 2)

    @cached_property
    def busy_ms(self) -> Mapping[str, float]:
        """Milliseconds that units of each kind work, summed over them; looked through once, as
        most of a simulation's invocations share few timelines."""
        pairs = list(zip(self.program.segments, self.timings, strict=True))
        repeats = Counter(id(timing) for _, timing in pairs)
        found: dict[str, float] = {}
        for segment, timing in {
            id(timing): (segment, timing) for segment, timing in pairs
        }.values():
            number = repeats[id(timing)] / 1e3
            spans = zip(segment.tiling.engine, timing.start_us, timing.end_us_of, strict=True)
            for engine, start, end in spans:
                kind = self.program.engines[engine].kind
                found[kind] = found.get(kind, 0.0) + (end - start) * number
        return found

    @property
    def duration_ms(self) -> float:
        """The whole duration in milliseconds."""
        return self.duration_us / 1e3

    def slices(self) -> Iterator[Slice]:
        """Every task in program order, with absolute times."""
        rows = zip(self.program.segments, self.offsets_us, self.timings, strict=True)
        for segment, offset, timing in rows:
            times = zip(segment.tasks, timing.start_us, timing.end_us_of, strict=True)
            for task, start, end in times:
                yield Slice(segment, task, offset + start, offset + end)
