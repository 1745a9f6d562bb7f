"""How long requests take, as distributions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from axsim.errors import InputError
from axsim.fidelity.prediction import number
from axsim.runs.shared_results import ScenarioResult
from axsim.show.palette import INK
from axsim.show.plots.style import SMALL, grid, new_figure, plain_numbers

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LINES = ("-", "--", "-.", ":")
COLORS = (INK, "0.5", "#5f7fa8", "0.2")
MARKS = ("o", "s", "^", "D")
"""A tenant's line and the mark of its percentiles."""


def latency_distribution(result: ScenarioResult) -> Figure:
    """For each tenant that answers requests, the part of them (upwards) that took no longer than
    a time (to the right, logarithmic). Marks are at p50, p95 and p99; a short line in the tenant's
    style at the top is its deadline.

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
        color, mark = COLORS[style], MARKS[style]
        label = f"{each.name}, p95 {number(measure.percentile(95))} ms"
        axes.plot(xs, ys, color=color, linestyle=LINES[style], linewidth=1.6, label=label)
        points = [(measure.percentile(percent), percent / 100) for percent in (50, 95, 99)]
        axes.plot(*zip(*points, strict=True), color=color, marker=mark, linestyle="", markersize=5)
        if each.deadline_ms is not None:
            axes.plot(
                [each.deadline_ms] * 2, [0.0, 1.06], color=color, linestyle=LINES[style],
                linewidth=0.7,
            )  # fmt: skip
            axes.annotate(
                f"{each.name} due", (each.deadline_ms, 1.06), fontsize=SMALL, color=color,
                ha="center", va="bottom",
            )  # fmt: skip
    axes.set_xscale("log")
    plain_numbers(axes.xaxis)
    axes.set_ylim(0, 1.13)
    axes.set_yticks([0, 0.25, 0.5, 0.75, 0.95, 1.0], ["0", "25", "50", "75", "95", "100"])
    axes.set_xlabel("from a request's arrival to its end, ms", fontsize=SMALL + 1)
    axes.set_ylabel("requests that took no longer, %", fontsize=SMALL + 1)
    axes.tick_params(labelsize=SMALL)
    grid(axes)
    figure.legend(loc="outside lower center", ncols=3, fontsize=SMALL, frameon=False)
    title = f"How long requests take: {result.scenario.name} on {result.chip.name}"
    axes.set_title(title, fontsize=SMALL + 2, loc="left")
    return figure
