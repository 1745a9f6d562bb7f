"""Operators under the chip's ceilings: bound by arithmetic or by memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from axsim.analysis.plots.labels import Label, place
from axsim.analysis.plots.panels import stage, stage_timelines
from axsim.analysis.plots.style import INK, SMALL, STAGES, grid, new_figure, plain_numbers
from axsim.compiler.program import EngineKind, Segment, Step
from axsim.machine.timeline import Timeline, Timing
from axsim.runtime.results import VariantResult

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SHAPES: dict[EngineKind, str] = {"conv": "o", "teng": "^", "sdma": "s"}
LABELS = 8
"""Points with a name: those that take most time."""
SAME = 0.12
"""Ceilings that differ by less than this fraction share one name."""


@dataclass(frozen=True)
class Point:
    """One fused operator of a stage, all its repetitions alike.

    ``engine`` does its work. ``operations`` are two for each multiply-accumulate, or its vector
    operations when it has no product; ``dram_bytes`` cross the DRAM interface. ``active_us`` is the
    time in which any of its tasks runs: other operators may run in it too, so the times of a stage
    sum to more than it takes. ``repeats``: in the whole stage.
    """

    stage: str
    label: str
    engine: EngineKind
    operations: int
    dram_bytes: float
    active_us: float
    repeats: int

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


def roofline(
    variant: VariantResult, stages: Sequence[str] | None = None, *, labels: int = LABELS
) -> Figure:
    """Attained GOP/s of every fused operator against its operations per byte of DRAM traffic, both
    logarithmic, under the ceilings of the chip: the effective DRAM bandwidth, and what CONV and
    TENG can do with the operand types of these stages at the calibrated clock.

    ``stages`` are some of ``vision``, ``prefill`` (``prefill 1``, …), ``decode``, ``post``; all by
    default. The shape of a point is its engine, its fill the stage, its size grows with the time it
    takes; the ``labels`` longest are named. Operators that do not touch DRAM stand at the right.

    Raises:
        InputError: matplotlib is not installed, or there is no such stage.
    """
    points = roofline_points(variant, stages)
    roofs = ceilings(variant, tuple(dict.fromkeys(each.stage for each in points)))
    bandwidth = variant.chip.sustained_gbps
    figure = new_figure(8.5, 5.8)
    axes = figure.add_subplot()
    finite = [each.intensity for each in points if each.dram_bytes]
    low = min([*finite, 1.0]) / 2
    high = max([*finite, max(each.gops for each in roofs) / bandwidth]) * 4
    beyond = high * 2.2
    _roofs(axes, roofs, bandwidth, low, high)
    axes.axvline(high, color="0.5", linewidth=0.8, linestyle=":")
    longest = max(each.ms for each in points)
    places = [(each.intensity if each.dram_bytes else beyond, each.gops) for each in points]
    for each, (x, y) in zip(points, places, strict=True):
        fill = STAGES[each.stage.split()[0]]
        size = 4 + 9 * (each.ms / longest) ** 0.5
        axes.plot(
            [x],
            [y],
            marker=SHAPES[each.engine],
            markersize=size,
            linestyle="none",
            markerfacecolor=fill.color,
            markeredgecolor=INK,
            markeredgewidth=0.9,
            zorder=3,
        )
    least = min(y for _, y in places)
    axes.set(
        xscale="log",
        yscale="log",
        xlim=(low, high * 5),
        ylim=(least / 2, 2.5 * max(each.gops for each in roofs)),
    )
    axes.set_xlabel("arithmetic intensity, operations per byte of DRAM traffic")
    axes.set_ylabel("attained, GOP/s (a multiply-accumulate is two operations)")
    plain_numbers(axes.xaxis)
    plain_numbers(axes.yaxis)
    grid(axes, which="major")
    axes.annotate(
        "no DRAM\ntraffic",
        (beyond, least / 2),
        (0, 4),
        textcoords="offset points",
        ha="center",
        va="bottom",
        fontsize=SMALL,
    )
    _legend(axes, points)
    title = f"{variant.workload.name} {variant.name} on {variant.chip.name}, {variant.npu_mode}"
    axes.set_title(title, fontsize=SMALL + 2)
    order = sorted(range(len(points)), key=lambda i: (-points[i].ms, i))
    named = [Label(points[i].label, *places[i]) for i in order[:labels]]
    place(axes, named, [places[i] for i in order[labels:]])
    return figure


def roofline_points(variant: VariantResult, stages: Sequence[str] | None = None) -> list[Point]:
    """The points of :func:`roofline`, stage by stage in program order; equal operators of equal
    layers are one.

    Raises:
        InputError: there is no such stage.
    """
    found: list[Point] = []
    for name in stage_timelines(variant) if stages is None else stages:
        layered = name.startswith(("prefill", "decode"))
        layers = variant.stages.layers if layered else 1
        found += _points(name, stage(variant, name), layers)
    return found


def ceilings(variant: VariantResult, stages: Sequence[str]) -> list[Ceiling]:
    """What the units of the NPU mode can do with the operand types of some stages, highest first;
    those that are nearly the same carry the names of both."""
    chip, build = variant.chip, variant.workload.build
    groups = variant.deployment.mode.groups
    clock = chip.calibrated.clock_mhz / 1e3
    conv = 2 * groups * chip.npu.conv_per_group * chip.int8_macs_per_cycle * clock
    teng = groups * chip.npu.teng_per_group * clock
    found: dict[str, float] = {}
    vision = build.vision_dtype if "vision" in stages else None
    floats = vision == "bf16" or any(stage != "vision" for stage in stages)
    if vision == "u8":
        found["CONV u8×s8"] = conv
    if vision == "u16" or (vision and build.precision_overrides):
        found["CONV u16×s8"] = conv / chip.calibrated.u16_divisor
        found["CONV u16×u16"] = conv / chip.npu.conv.int16_divisor
    if floats:
        found["CONV bf16"] = conv / chip.npu.conv.bf16_divisor
        found["TENG bf16 matmul"] = 2 * teng * chip.calibrated.teng_macs_per_cycle
    ordered = sorted(found.items(), key=lambda item: -item[1])
    merged: list[Ceiling] = []
    for name, gops in ordered:
        if merged and merged[-1].gops < gops * (1 + SAME):
            merged[-1] = Ceiling(f"{merged[-1].name}, {name}", merged[-1].gops)
        else:
            merged.append(Ceiling(name, gops))
    return merged


def _points(stage: str, timeline: Timeline, layers: int) -> Iterator[Point]:
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
            operations, active = _operations(step), _union(spans[number])
            if operations and active:
                engine: EngineKind = next(
                    (each for each in SHAPES if each in kinds[number]), "sdma"
                )
                yield Point(
                    stage, step.label, engine, operations, moved[number], active, count * layers
                )


def _operations(step: Step) -> int:
    return 2 * step.macs or step.vector_ops


def _union(spans: list[tuple[float, float]]) -> float:
    """The time that any of the spans covers."""
    total, reached = 0.0, float("-inf")
    for start, end in sorted(spans):
        total += max(0.0, end - max(start, reached))
        reached = max(reached, end)
    return total


def _roofs(axes: Any, roofs: list[Ceiling], bandwidth: float, low: float, high: float) -> None:
    top = roofs[0].gops if roofs else high * bandwidth
    axes.plot(
        [low, top / bandwidth], [low * bandwidth, top], color="black", linewidth=1.4, zorder=1
    )
    axes.annotate(
        f"effective DRAM {bandwidth:.3g} GB/s",
        (low * 1.15, low * 1.15 * bandwidth),
        (0, 8),
        textcoords="offset points",
        rotation=40,
        rotation_mode="anchor",
        fontsize=SMALL,
    )
    for roof in roofs:
        axes.plot(
            [roof.gops / bandwidth, high],
            [roof.gops] * 2,
            color="black",
            linewidth=1.2,
            linestyle="-" if roof is roofs[0] else "--",
            zorder=1,
        )
        axes.annotate(
            f"{roof.name}: {roof.gops:.4g} GOP/s",
            (high, roof.gops),
            (-4, 3),
            textcoords="offset points",
            ha="right",
            fontsize=SMALL,
        )


def _legend(axes: Any, points: list[Point]) -> None:
    from matplotlib.lines import Line2D

    common: Any = {"linestyle": "none", "markeredgecolor": INK, "markersize": 8}
    engines = {each.engine for each in points}
    handles = [
        Line2D([], [], marker=shape, markerfacecolor="0.7", label=kind.upper(), **common)
        for kind, shape in SHAPES.items()
        if kind in engines
    ]
    for stage in dict.fromkeys(each.stage for each in points):
        color = STAGES[stage.split()[0]].color
        handles.append(Line2D([], [], marker="o", markerfacecolor=color, label=stage, **common))
    axes.legend(handles=handles, loc="lower right", fontsize=SMALL + 1, ncols=2)
