"""Errors of the predictions by metric and chip: bias and spread at a glance."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING

from axsim.show.palette import ACCENT, INK
from axsim.show.plots.predicted_measured import BAND, FILLS, predicted_rows
from axsim.show.plots.style import SMALL, grid, new_figure
from axsim.system.metrics import METRICS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from axsim.fidelity.validate import Validation

SPREAD = 0.32
"""Points of a row of the picture lie within so much of its middle."""


def residuals(validation: Validation) -> Figure:
    """One row for each metric and chip with the error of every prediction, percent, and their
    median, which shows a bias. Points are spread over the height of the row in the order of the
    measured values, smallest on top: a slope is an error that grows with size.

    Raises:
        InputError: no row could be predicted.
    """
    known = predicted_rows(validation)
    groups = [each for each in validation.groups if each.errors]
    chips = list(dict.fromkeys(each.row.chip.lower() for each in known))
    figure = new_figure(7, 1.3 + 0.42 * len(groups))
    axes = figure.add_subplot()
    axes.axvspan(-100 * BAND, 100 * BAND, color="0.93", zorder=0)
    axes.axvline(0, color="black", linewidth=0.8, zorder=1)
    for place, group in enumerate(groups):
        rows = [each for each in group.rows if each.error is not None]
        rows.sort(key=lambda each: each.row.value)
        errors = [100 * (each.error or 0.0) for each in rows]
        steps = max(1, len(rows) - 1)
        heights = [place + SPREAD * (2 * i / steps - 1) * (len(rows) > 1) for i in range(len(rows))]
        axes.plot(
            errors,
            heights,
            linestyle="none",
            marker=METRICS[group.metric].marker,
            markersize=5,
            markeredgecolor=INK,
            markerfacecolor=FILLS[chips.index(group.chip) % len(FILLS)],
            label=f"{group.metric} {group.chip}",
            zorder=3,
        )
        middle = median(errors)
        axes.plot([middle] * 2, [place - 0.42, place + 0.42], color=ACCENT, linewidth=2, zorder=2)
    names = [f"{METRICS[g.metric].label}, {g.chip} ({len(g.errors)})" for g in groups]
    axes.set_yticks(range(len(groups)), names, fontsize=SMALL + 1)
    axes.set_ylim(len(groups) - 0.5, -0.5)
    largest = 1.1 * max(200 * BAND, *(100 * abs(each.error or 0) for each in known))
    axes.set_xlim(-largest, largest)
    axes.set_xlabel("predicted / measured − 1, %")
    grid(axes, axis="x")
    axes.set_title(f"Errors by metric, chip (rows); line: median; band ±{BAND:.0%}", fontsize=10)
    return figure
