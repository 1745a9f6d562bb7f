"""Predicted values over measured ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from axsim.errors import InputError
from axsim.fidelity.prediction import counted
from axsim.show.palette import ACCENT, INK, SERIES
from axsim.show.plots.style import grid, new_figure, plain_numbers
from axsim.system.metrics import LEDGER, METRICS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from axsim.fidelity.predict import Compared
    from axsim.fidelity.validate import Validation

FILLS = (INK, "white", SERIES[1].color, ACCENT)
"""Fill of each chip's markers, in the order of the chips' rows."""
DRAWN_IN = {"compiler_cycles": "million cycles"}
"""Units of the axes where they are not the metric's own."""
BAND = 0.10


def predicted_measured(validation: Validation) -> Figure:
    """Predicted over measured values, log-log, and below them the errors, to one x axis.

    One marker shape for each metric, one fill for each chip; the band is plus or minus 10 %.
    Compiler cycles are drawn in millions: milliseconds at the compiler's nominal 1 GHz.

    Raises:
        InputError: no row could be predicted.
    """
    known = predicted_rows(validation)
    figure = new_figure(7, 7.6)
    scatter, errors = figure.subplots(2, 1, sharex=True, height_ratios=(2.4, 1))
    chips = list(dict.fromkeys(each.row.chip.lower() for each in known))
    used: dict[tuple[str, str], None] = {}
    values = []
    for each in known:
        metric, chip = each.row.metric, each.row.chip.lower()
        unit = 1e6 if metric == "compiler_cycles" else 1.0
        assert each.predicted is not None
        assert each.error is not None
        x, y = each.row.value / unit, each.predicted / unit
        values += [x, y]
        used.setdefault((metric, chip))
        style = _marker(metric, chips.index(chip))
        scatter.plot([x], [y], **style)
        errors.plot([x], [100 * each.error], **style)
    low, high = min(values) / 1.3, max(values) * 1.3
    ends = [low, high]
    for at, ratio in ((0, 1 - BAND), (1, 1), (2, 1 + BAND)):
        line = {"color": "black" if at == 1 else "0.6", "linewidth": 0.8, "zorder": 1}
        scatter.plot(ends, [ratio * end for end in ends], **line)
        errors.axhline(100 * (ratio - 1), **line)
    lower, upper = ([(1 + s * BAND) * end for end in ends] for s in (-1, 1))
    scatter.fill_between(ends, lower, upper, color="0.9", zorder=0)
    errors.axhspan(-100 * BAND, 100 * BAND, color="0.9", zorder=0)
    scatter.set(xscale="log", yscale="log", xlim=ends, ylim=ends, ylabel="predicted")
    errors.set(xlabel="measured, in the metric's unit", ylabel="error, %")
    largest = max(2 * BAND, *(abs(each.error or 0) for each in known)) * 110
    errors.set_ylim(-largest, largest)
    plain_numbers(scatter.xaxis)
    plain_numbers(scatter.yaxis)
    for axes in (scatter, errors):
        grid(axes, which="major")
    _legend(scatter, used, chips)
    overall, (right, pairs) = validation.overall, validation.orderings
    title = f"Predicted against {counted(len(known), 'measurement')}: MAPE {overall.mape:.1%}"
    if pairs:
        title += f", {right / pairs:.1%} of orderings right"
    scatter.set_title(f"{title}; band ±{BAND:.0%}", fontsize=10)
    return figure


def predicted_rows(validation: Validation) -> list[Compared]:
    """The rows that have a prediction.

    Raises:
        InputError: there is none.
    """
    known = [each for each in validation.compared if each.predicted is not None]
    if not known:
        raise InputError("there is nothing to draw: no row could be predicted")
    return known


def _marker(metric: str, chip: int) -> dict[str, Any]:
    shape = METRICS[metric].marker
    fill = FILLS[chip % len(FILLS)]
    return {
        "linestyle": "none",
        "marker": shape,
        "markersize": 6,
        "markeredgecolor": INK,
        "markerfacecolor": fill,
        "markeredgewidth": 1.2 if shape == "x" else 0.9,
        "zorder": 3,
    }


def _legend(axes: Any, used: dict[tuple[str, str], None], chips: list[str]) -> None:
    """Metrics by shape; chips by fill."""
    from matplotlib.lines import Line2D

    present = {metric for metric, _ in used}
    handles = [
        Line2D([], [], label=_legend_name(metric), **_marker(metric, 0))
        for metric in LEDGER
        if metric in present
    ]
    for index, chip in enumerate(chips):
        handles.append(Line2D([], [], label=chip, **_marker("vision_encode_ms", index)))
    axes.legend(handles=handles, loc="upper left", fontsize=8, frameon=True, framealpha=0.9)


def _legend_name(metric: str) -> str:
    return f"{METRICS[metric].label}, {DRAWN_IN.get(metric, METRICS[metric].unit)}"
