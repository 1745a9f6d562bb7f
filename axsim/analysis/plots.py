"""Pictures, drawn with matplotlib (the ``plot`` extra), which is imported when one is drawn.

Every picture is readable in greyscale: shapes and fills tell series apart, not colours alone. Equal
results are equal files.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from axsim.analysis.files import whole_file
from axsim.errors import InputError, Problem

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from axsim.fidelity.validate import Validation

FORMATS = (".png", ".svg", ".pdf")

INK = "#1b3a5c"
FILLS = (INK, "white", "#9fb4c8", "#d95f02")
"""Fill of each chip's markers, in the order of the chips' rows."""
SHAPES = {
    "vision_encode_ms": ("o", "vision encode, ms"),
    "prefill_layer_ms": ("^", "prefill layer, ms"),
    "decode_layer_ms": ("v", "decode layer, ms"),
    "post_ms": ("s", "post, ms"),
    "ttft_ms": ("D", "TTFT, ms"),
    "decode_tokens_per_s": ("P", "decode, tokens/s"),
    "compiler_cycles": ("x", "compiler, million cycles"),
}
"""Marker and legend of each metric."""
BAND = 0.10


def check_plot(path: Path) -> None:
    """Find out before a long run that a picture can't be drawn.

    Raises:
        InputError: the file's suffix is none of :data:`FORMATS`, or matplotlib is not installed.
    """
    if path.suffix.lower() not in FORMATS:
        raise InputError(Problem("", "", f"cannot draw {path}", ", ".join(FORMATS)))
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        what = "pictures need matplotlib"
        raise InputError(Problem("", "", what, "pip install 'axsim[plot]'")) from None


def save(figure: Figure, path: Path) -> None:
    """Write a figure in the format of the file's suffix, whole or not at all.

    Raises:
        InputError: as :func:`check_plot`, or the file cannot be written.
    """
    import matplotlib

    check_plot(path)
    kind = path.suffix.lower()[1:]
    dateless: dict[str, Any] = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}
    with whole_file(path) as file, matplotlib.rc_context({"svg.hashsalt": "axsim"}):
        figure.savefig(file, format=kind, dpi=150, metadata=dateless.get(kind))


def plot_validation(validation: Validation, path: Path) -> None:
    """Draw predicted over measured values, log-log, and below them the errors, to one x axis.

    One marker shape for each metric, one fill for each chip; the band is plus or minus 10 %.
    Compiler cycles are drawn in millions: milliseconds at the compiler's nominal 1 GHz.

    Raises:
        InputError: as :func:`save`, or no row could be predicted.
    """
    check_plot(path)
    from matplotlib.figure import Figure
    from matplotlib.ticker import FuncFormatter

    known = [each for each in validation.compared if each.predicted is not None]
    if not known:
        raise InputError("there is nothing to draw: no row could be predicted")
    figure = Figure(figsize=(7, 7.6), layout="constrained")
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
    plain = FuncFormatter(lambda value, _: f"{value:g}")
    scatter.xaxis.set_major_formatter(plain)
    scatter.yaxis.set_major_formatter(plain)
    for axes in (scatter, errors):
        axes.grid(True, which="major", color="0.85", linewidth=0.5, zorder=0)
    _legend(scatter, used, chips)
    overall, (right, pairs) = validation.overall, validation.orderings
    title = f"{len(known)} measurements: MAPE {overall.mape:.1%}"
    if pairs:
        title += f", {right / pairs:.1%} of orderings right"
    scatter.set_title(f"{title}; band ±{BAND:.0%}", fontsize=10)
    save(figure, path)


def _marker(metric: str, chip: int) -> dict[str, Any]:
    shape = SHAPES[metric][0]
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
        Line2D([], [], label=label, **_marker(metric, 0))
        for metric, (_, label) in SHAPES.items()
        if metric in present
    ]
    for index, chip in enumerate(chips):
        handles.append(Line2D([], [], label=chip, **_marker("vision_encode_ms", index)))
    axes.legend(handles=handles, loc="upper left", fontsize=8, frameon=True, framealpha=0.9)
