"""DRAM traffic and on-chip memory over time, from the tasks of a timed segment."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from axsim.compiler.program import Segment, TaskKind
from axsim.machine.timeline import Timing


def dram_rates(
    segment: Segment, timing: Timing, bytes_per_us: float
) -> Iterator[tuple[float, Mapping[TaskKind, float]]]:
    """Times, microseconds from the segment's start, and the useful bytes per microsecond of each
    kind of task from then on; a mapping is empty where nothing moves.

    Open transfers share ``bytes_per_us`` evenly, of which inefficient ones waste a part (as
    :class:`axsim.machine.dram.Dram` has it).
    """
    starts = sorted(
        (start, index)
        for index, (task, start) in enumerate(zip(segment.tasks, timing.start_us, strict=True))
        if task.dram_cost_bytes
    )
    left: dict[int, float] = {}
    now, position = 0.0, 0
    while position < len(starts) or left:
        following = starts[position][0] if position < len(starts) else float("inf")
        if left:
            share = bytes_per_us / len(left)
            rates: dict[TaskKind, float] = {}
            for task in (segment.tasks[index] for index in left):
                useful = share * task.dram_bytes / task.dram_cost_bytes
                rates[task.kind] = rates.get(task.kind, 0.0) + useful
            yield now, rates
            until = min(following, now + min(left.values()) / share)
            moved = (until - now) * share
            left = {index: size - moved for index, size in left.items() if size - moved > 1e-6}
            now = until
        else:
            now = following
        while position < len(starts) and starts[position][0] <= now:
            index = starts[position][1]
            left[index] = segment.tasks[index].dram_cost_bytes
            position += 1
        if not left:
            yield now, {}


def ocm_use(segment: Segment, timing: Timing) -> Iterator[tuple[float, float]]:
    """Times, microseconds from the segment's start, at which a step begins to compute, and the
    bytes of on-chip memory that are in use from then on."""
    begins: dict[int, float] = {}
    for task, start in zip(segment.tasks, timing.start_us, strict=True):
        if task.kind == "compute":
            begins[task.step] = min(begins.get(task.step, start), start)
    for step in sorted(begins, key=lambda step: begins[step]):
        yield begins[step], segment.ocm_bytes[step]
