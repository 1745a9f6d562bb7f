"""Operators under the chip's ceilings: bound by arithmetic or by memory."""

from __future__ import annotations

from collections.abc import Sequence
from math import atan, degrees
from typing import TYPE_CHECKING, Any

from axsim.compiler.program import EngineKind
from axsim.errors import abridged
from axsim.fidelity.prediction import number
from axsim.runs.results import VariantResult
from axsim.show.ceilings import Ceiling, Point, ceilings, roofline_points
from axsim.show.palette import INK, STAGES
from axsim.show.plots.labels import Label, place
from axsim.show.plots.stage_panels import subject
from axsim.show.plots.style import SMALL, entitle, grid, new_figure, plain_numbers

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SHAPES: dict[EngineKind, str] = {"conv": "o", "teng": "^", "sdma": "s"}
LABELS = 8
"""Points with a name: those that take most time."""
LONGEST = 34
"""Characters of a name that are written: its end, when it has more."""
CLOSE = 1.6
"""Ceilings nearer to each other than by this factor stand aside for each other's names."""
SIDES = {(True, False): "top", (False, True): "bottom"}
"""Where the name of a ceiling stands that has a close one above it, or below it."""


def roofline(
    variant: VariantResult, stages: Sequence[str] | None = None, *, labels: int = LABELS
) -> Figure:
    """Attained GOP/s of every fused operator against its operations per byte of DRAM traffic, both
    logarithmic, under the ceilings of the chip: the effective DRAM bandwidth, and what CONV and
    TENG can do with the operand types of these stages at the calibrated clock.

    ``stages`` are some of ``vision``, ``prefill`` (``prefill 1``, …), ``decode``, ``post``; by
    default all, of several prefill chunks the last. The shape of a point is its engine, its fill
    the stage, its size grows with the time it takes; the ``labels`` longest are named. Operators
    that do not touch DRAM stand at the right.

    Raises:
        InputError: there is no such stage.
    """
    figure = new_figure(9, 5.8)
    axes = figure.add_subplot()
    points = roofline_points(variant, stages)
    roofs = ceilings(variant, {each.part.stage for each in points})
    bandwidth = variant.chip.sustained_gbps
    top = roofs[0].gops
    finite = [each.intensity for each in points if each.dram_bytes]
    low = min([*finite, top / bandwidth]) / 3
    high = max([*finite, top / bandwidth]) * 4
    beyond = high * 3 if len(finite) < len(points) else high
    places = [(each.intensity if each.dram_bytes else beyond, each.gops) for each in points]
    bottom = min(y for _, y in places) / 3
    right = beyond * (beyond / high) ** 0.8
    axes.set(xscale="log", yscale="log", xlim=(low, right))
    axes.set_ylim(bottom, 6 * top)
    _roofs(axes, roofs, bandwidth, low, right)
    if beyond > high:
        axes.axvline(high, color="0.5", linewidth=0.8, linestyle=":")
        axes.text(
            beyond, bottom * 1.3, "no DRAM\ntraffic", ha="center", va="bottom", fontsize=SMALL
        )
    _points(axes, points, places)
    axes.set_xlabel("arithmetic intensity, operations per byte of DRAM traffic")
    axes.set_ylabel("attained, GOP/s (a multiply-accumulate is two operations)")
    plain_numbers(axes.xaxis)
    plain_numbers(axes.yaxis)
    grid(axes, which="major")
    _legend(axes, points, labels)
    entitle(figure, "Operators under the chip's ceilings", subject(variant))
    order = sorted(range(len(points)), key=lambda i: (-points[i].ms, i))
    texts = _names(points, order[:labels])
    named = [Label(text, *places[i]) for i, text in texts.items()]
    place(axes, named, [places[i] for i in order if i not in texts])
    return figure


def _names(points: list[Point], order: list[int]) -> dict[int, str]:
    """Texts of labels: with the stage where operators of two have one name; the operators of one
    stage that have one name too (of its layers and of its last) share the label of the longest."""
    found: dict[int, str] = {}
    for i in order:
        stages = {points[j].part.name for j in order if points[j].label == points[i].label}
        text = abridged(points[i].label, LONGEST)
        text = f"{points[i].part.name} {text}" if len(stages) > 1 else text
        if text not in found.values():
            found[i] = text
    return found


def _points(axes: Any, points: list[Point], places: list[tuple[float, float]]) -> None:
    longest = max(each.ms for each in points)
    for each, (x, y) in zip(points, places, strict=True):
        axes.plot(
            [x],
            [y],
            marker=SHAPES[each.engine],
            markersize=4 + 9 * (each.ms / longest) ** 0.5,
            linestyle="none",
            markerfacecolor=STAGES[each.part.stage].color,
            markeredgecolor=INK,
            markeredgewidth=0.9,
            label=f"{each.part.name}: {each.label}",
            zorder=3,
        )


def _roofs(axes: Any, roofs: list[Ceiling], bandwidth: float, low: float, right: float) -> None:
    """The slope of the memory and the flat ceilings, each with its name."""
    top = roofs[0].gops
    axes.plot(
        [low, top / bandwidth], [low * bandwidth, top], color="black", linewidth=1.4, zorder=1
    )
    slope = bandwidth * 1.1  # a little above the line
    x = low**0.65 * (top / bandwidth) ** 0.35
    axes.text(
        x,
        x * slope,
        f"effective DRAM bandwidth {bandwidth:.3g} GB/s",
        rotation=degrees(atan(slope)),
        rotation_mode="anchor",
        transform_rotates_text=True,
        ha="center",
        va="bottom",
        fontsize=SMALL,
    )
    for index, roof in enumerate(roofs):
        above, below = (
            0 < other < len(roofs) and roofs[other - 1].gops < CLOSE * roofs[other].gops
            for other in (index, index + 1)
        )
        axes.plot(
            [roof.gops / bandwidth, right],
            [roof.gops] * 2,
            color="black",
            linewidth=1.4 if roof is roofs[0] else 1,
            linestyle="-" if roof is roofs[0] else "--",
            zorder=1,
        )
        axes.annotate(
            f"{roof.name}: {number(roof.gops)} GOP/s",
            (1, roof.gops),
            (5, 0),
            xycoords=("axes fraction", "data"),
            textcoords="offset points",
            va=SIDES.get((above, below), "center"),
            fontsize=SMALL,
        )


def _legend(axes: Any, points: list[Point], labels: int) -> None:
    from matplotlib.lines import Line2D

    common: Any = {"linestyle": "none", "markeredgecolor": INK, "markersize": 8}
    engines = {each.engine for each in points}
    handles = [
        Line2D([], [], marker=shape, markerfacecolor="0.7", label=kind.upper(), **common)
        for kind, shape in SHAPES.items()
        if kind in engines
    ]
    for part in dict.fromkeys(each.part for each in points):
        look = {**common, "markerfacecolor": STAGES[part.stage].color, "label": part.name}
        handles.append(Line2D([], [], marker="o", **look))
    longest = max(each.ms for each in points)
    sizes = f"larger: more time, up to {number(longest)} ms"
    if labels < len(points):
        sizes += "\nthose that take most are named"
    box = axes.legend(handles=handles, loc="upper left", fontsize=SMALL + 1, ncols=2, title=sizes)
    box.get_title().set_fontsize(SMALL)
