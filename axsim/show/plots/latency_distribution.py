"""How long requests take, as distributions."""

from __future__ import annotations

from collections.abc import Mapping
from math import log
from typing import TYPE_CHECKING

from axsim.errors import InputError
from axsim.fidelity.prediction import number
from axsim.runs.shared_results import ScenarioResult
from axsim.show.palette import CURVES
from axsim.show.plots.style import LINES, MARKS, SMALL, grid, new_figure, plain_numbers
from axsim.system.quantiles import enough

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ROW = 0.07
"""Height of a row of names, as a part of the height for 100 %."""
LETTER = 1 / 90
"""Width of a letter, as a part of the picture's."""


def latency_distribution(result: ScenarioResult) -> Figure:
    """For each tenant that answers requests, the part of them (upwards) that took no longer than
    a time (to the right, logarithmic). Marks are at p50, p95 and p99 where enough requests tell
    them; a thin line in the tenant's style is its deadline.

    Raises:
        InputError: no request was answered.
    """
    figure = new_figure(7.5, 4.2)
    axes = figure.subplots()
    shown = [each for each in result.models if "latency_ms" in each.measures]
    if not shown:
        raise InputError("there is nothing to draw: no request was answered")
    for place, each in enumerate(shown):
        measure = each.measures["latency_ms"]
        steps = measure.steps()
        xs, ys = [steps[0][0]], [0.0]
        for value, part in steps:
            xs += [value, value]
            ys += [ys[-1], part]
        style = place % len(LINES)
        color, mark = CURVES[style], MARKS[style]
        told = [percent for percent in (50, 95, 99) if enough(measure.count, percent)]
        most = f"p95 {number(measure.percentile(95))} ms of {measure.count:,}"
        if 95 not in told:
            most = f"longest {number(measure.greatest)} ms of {measure.count:,}"
        label = f"{each.name}, {most}"
        axes.plot(xs, ys, color=color, linestyle=LINES[style], linewidth=1.6, label=label)
        points = [(measure.percentile(percent), percent / 100) for percent in told]
        xs, ys = [x for x, _ in points], [y for _, y in points]
        axes.plot(xs, ys, color=color, marker=mark, linestyle="", markersize=5)
    axes.set_xscale("log")
    dues = {each.name: each.deadline_ms for each in shown if each.deadline_ms is not None}
    looks = {each.name: place % len(LINES) for place, each in enumerate(shown)}
    axes.set_xlim(*_span([*axes.get_xlim(), *dues.values()]))
    rows = _rows(dues, axes.get_xlim())
    for name, due in dues.items():
        color, height = CURVES[looks[name]], 1.06 + ROW * rows[name]
        line = LINES[looks[name]]
        axes.plot([due] * 2, [0.0, height], color=color, linestyle=line, linewidth=0.7)
        axes.annotate(
            f"{name} due", (due, height), fontsize=SMALL, color=color, ha="center", va="bottom",
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.6}, zorder=5,
        )  # fmt: skip
    plain_numbers(axes.xaxis)
    axes.set_ylim(0, 1.06 + ROW * (1 + max(rows.values(), default=0)))
    axes.set_yticks([0, 0.25, 0.5, 0.75, 0.95, 1.0], ["0", "25", "50", "75", "95", "100"])
    axes.set_xlabel("from a request's arrival to its end, ms", fontsize=SMALL + 1)
    axes.set_ylabel("requests that took no longer, %", fontsize=SMALL + 1)
    axes.tick_params(labelsize=SMALL, which="both")
    grid(axes)
    figure.legend(loc="outside lower center", ncols=3, fontsize=SMALL, frameon=False)
    title = f"How long requests take: {result.scenario.name} on {result.chip.name}"
    axes.set_title(title, fontsize=SMALL + 2, loc="left")
    return figure


def _span(places: list[float]) -> tuple[float, float]:
    """From the least to the greatest, with a margin where that is a deadline."""
    return min(places) / 1.05, max(places) * 1.05


def _rows(dues: Mapping[str, float], span: tuple[float, float]) -> dict[str, int]:
    """In which row above the curves each deadline has its name, so that none covers another."""
    ends: list[float] = []
    found: dict[str, int] = {}
    for name, due in sorted(dues.items(), key=lambda pair: pair[1]):
        middle = log(due / span[0]) / log(span[1] / span[0])
        half = LETTER * len(f"{name} due") / 2
        row = next((r for r, end in enumerate(ends) if end < middle - half), len(ends))
        ends[row : row + 1] = [middle + half]
        found[name] = row
    return found
