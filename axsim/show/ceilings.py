"""Operators against the chip's ceilings: what a roofline shows, as objects."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from axsim.compiler.cost import BYTE_PLANES
from axsim.compiler.program import EngineKind, Segment
from axsim.machine.timeline import Timeline, Timing
from axsim.runs.results import VariantResult
from axsim.show.timelines import named_stages, stage_timelines
from axsim.system.request import Stage
from axsim.system.request_timeline import Part

WORTH = 0.002
"""Part of a stage's time from which an operator is a point."""
SAME = 0.12
"""Ceilings that differ by less than this fraction share one name."""
ENGINES: tuple[EngineKind, ...] = ("conv", "teng", "sdma")
"""An operator belongs to the first of these that works for it."""


@dataclass(frozen=True)
class Point:
    """One fused operator of a part of the request, all its repetitions alike.

    ``engine`` does its work: ``macs`` multiply-accumulates and ``vector_ops`` vector operations.
    ``dram_bytes`` cross the DRAM interface. ``active_us`` is the time in which any of its tasks
    runs: other operators may run in it too, so the times of a stage sum to more than it takes.
    ``repeats``: in the whole stage.
    """

    part: Part
    label: str
    engine: EngineKind
    macs: int
    vector_ops: int
    dram_bytes: float
    active_us: float
    repeats: int

    @property
    def operations(self) -> int:
        """Two for each multiply-accumulate, or the vector operations when there is no product."""
        return 2 * self.macs or self.vector_ops

    @property
    def gops(self) -> float:
        """Attained giga-operations per second."""
        return self.operations / self.active_us / 1e3

    @property
    def intensity(self) -> float:
        """Operations per byte of DRAM traffic; infinite without any."""
        return self.operations / self.dram_bytes if self.dram_bytes else float("inf")

    @property
    def ms(self) -> float:
        """Active time of all repetitions."""
        return self.active_us * self.repeats / 1e3


@dataclass(frozen=True)
class Ceiling:
    """Giga-operations per second that no operator of a kind can exceed."""

    name: str
    gops: float


def roofline_points(variant: VariantResult, stages: Sequence[str] | None = None) -> list[Point]:
    """The fused operators of a variant, stage by stage in program order; equal operators of equal
    layers are one. Operators that take less than :data:`WORTH` of the time of their stage are left
    out. ``stages`` are some of ``vision``, ``prefill`` (``prefill 1``, …), ``decode``, ``post``; by
    default :func:`axsim.show.timelines.main_stages`.

    Raises:
        InputError: there is no such stage.
    """
    found: list[Point] = []
    timelines, spans = stage_timelines(variant), variant.planned.spans
    for part in named_stages(variant, stages):
        found += _points(part, timelines[part], len(spans[part].invocations))
    total = {each.part: 0.0 for each in found}
    for each in found:
        total[each.part] += each.ms
    return [each for each in found if each.ms >= WORTH * total[each.part]]


def ceilings(variant: VariantResult, stages: Collection[Stage]) -> list[Ceiling]:
    """What the units of the NPU mode can do with the operand types of some stages, highest first;
    those that are nearly the same carry the names of both."""
    chip, build = variant.chip, variant.workload.build
    groups = variant.deployment.mode.groups
    clock = chip.calibrated.clock_mhz / 1e3
    conv = 2 * groups * chip.npu.conv_per_group * chip.int8_macs_per_cycle * clock
    teng = groups * chip.npu.teng_per_group * clock
    found: dict[str, float] = {}
    quantised = ("vision", "graph")
    vision = build.vision_dtype if any(stage in quantised for stage in stages) else None
    floats = vision == "bf16" or any(stage not in quantised for stage in stages)
    if vision == "u8":
        found["CONV u8×s8"] = conv
    if vision == "u16" or (vision and build.precision_overrides):
        found["CONV u16×s8"] = conv / (chip.npu.conv.int16_divisor / BYTE_PLANES)
        found["CONV u16×u16"] = conv / chip.npu.conv.int16_divisor
    if floats:
        found["CONV bf16"] = conv / chip.calibrated.bf16_divisor
        found["TENG bf16 matmul"] = 2 * teng * chip.calibrated.teng_macs_per_cycle
    ordered = sorted(found.items(), key=lambda item: -item[1])
    merged: list[Ceiling] = []
    for name, gops in ordered:
        if merged and merged[-1].gops < gops * (1 + SAME):
            merged[-1] = Ceiling(f"{merged[-1].name}, {name}", merged[-1].gops)
        else:
            merged.append(Ceiling(name, gops))
    return merged


def _points(part: Part, timeline: Timeline, layers: int) -> Iterator[Point]:
    program = timeline.program
    segments = zip(program.segments, timeline.timings, strict=True)
    counts: dict[Segment, int] = {}
    timings: dict[Segment, Timing] = {}
    for segment, timing in segments:
        counts[segment] = counts.get(segment, 0) + 1
        timings[segment] = timing
    for segment, count in counts.items():
        timing = timings[segment]
        spans: list[list[tuple[float, float]]] = [[] for _ in segment.steps]
        moved = [0.0] * len(segment.steps)
        kinds: list[set[EngineKind]] = [set() for _ in segment.steps]
        for index, task in enumerate(segment.tasks):
            spans[task.step].append((timing.start_us[index], timing.end_us_of[index]))
            moved[task.step] += task.dram_bytes
            kinds[task.step].add(program.engines[task.engine].kind)
        for number, step in enumerate(segment.steps):
            engine: EngineKind = next((each for each in ENGINES if each in kinds[number]), "sdma")
            work = step.macs, step.vector_ops
            active = _union(spans[number])
            if any(work) and active:
                yield Point(part, step.label, engine, *work, moved[number], active, count * layers)


def _union(spans: list[tuple[float, float]]) -> float:
    """The time that any of the spans covers."""
    total, reached = 0.0, float("-inf")
    for start, end in sorted(spans):
        total += max(0.0, end - max(start, reached))
        reached = max(reached, end)
    return total
