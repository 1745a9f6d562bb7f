"""What all pictures share: sizes, how areas and legends look, and how they are saved."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from axsim.errors import InputError, Problem
from axsim.files import whole_file
from axsim.show.palette import FAINT, LOST, Fill

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FORMATS = (".png", ".svg", ".pdf")

DPI = 150
"""Dots per inch of ``.png`` files."""

SMALL = 8
"""Points of the smallest text."""

LINES = ("-", "--", "-.", ":")
MARKS = ("o", "s", "^", "D", "v", "P")
"""Of several curves in one picture."""

Span = tuple[float, float]
"""Start and end of something."""


def new_figure(width: float, height: float) -> Figure:
    """An empty figure of ``width`` by ``height`` inches, of no window and no global state."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)  # measures texts
    return figure


def check_plot(path: Path) -> None:
    """Find out before a long run that a picture can't be drawn.

    Raises:
        InputError: the file's suffix is none of :data:`FORMATS`.
    """
    if path.suffix.lower() not in FORMATS:
        raise InputError(Problem("", "", f"cannot draw {path}", ", ".join(FORMATS)))


def save(figure: Figure, path: str | Path) -> None:
    """Write a figure in the format of the file's suffix, whole or not at all; equal figures are
    equal files.

    Raises:
        InputError: as :func:`check_plot`, or the file cannot be written.
    """
    import matplotlib

    path = Path(path)
    check_plot(path)
    kind = path.suffix.lower()[1:]
    with whole_file(path) as file, matplotlib.rc_context({"svg.hashsalt": "axsim"}):
        figure.savefig(file, format=kind, dpi=DPI, metadata=_DATELESS.get(kind))


_DATELESS: dict[str, dict[str, Any]] = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}


def svg(figure: Figure, title: str = "") -> str:
    """A figure as an ``<svg>`` element to put into an HTML page, several in one page if need be.

    It scales to the width of its container, and its text is text. ``title`` says to screen readers
    what is shown.
    """
    import matplotlib

    out = io.StringIO()
    settings: Any = {"svg.hashsalt": "axsim", "svg.fonttype": "none"}
    with matplotlib.rc_context(settings):
        figure.savefig(out, format="svg", metadata={"Date": None})
    text = out.getvalue()
    text = text[text.index("<svg ") :].strip()
    text = re.sub(r"\s*<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    used = set(re.findall(r"(?:url\(#|href=\"#)([^)\"]+)", text))
    text = re.sub(r' id="([^"]+)"', lambda found: found[0] if found[1] in used else "", text)
    head, rest = text.split(">", 1)
    head = re.sub(r' (?:width|height|version)="[^"]*"', "", head)
    label = f' role="img" aria-label="{escape(title)}"' if title else ""
    return f'{head}{label} style="width:100%;height:auto">{rest}'


def area(fill: Fill) -> dict[str, Any]:
    """A fill as arguments of matplotlib's bars and areas; without outlines, so that what is close
    together in time is not all outline."""
    dark = fill.text == "white"
    lines = "white" if dark else "0.7" if fill is LOST else "0.35"
    edge = lines if fill.hatch else fill.color
    return {"facecolor": fill.color, "hatch": fill.hatch, "edgecolor": edge, "linewidth": 0}


def legend(figure: Figure, fills: Mapping[str, Fill], title: str = "") -> None:
    """What is looked at, and in one line below it what areas mean, above the picture."""
    from matplotlib.patches import Patch

    handles = [Patch(label=name, **area(fill)) for name, fill in fills.items()]
    figure.legend(
        handles=handles,
        loc="outside upper left",
        alignment="left",
        ncols=max(1, len(handles)),
        title=title or None,
        title_fontsize=SMALL + 2,
        fontsize=SMALL + 1,
        handlelength=1.6,
        handletextpad=0.5,
        columnspacing=1.3,
        frameon=False,
    )


def entitle(figure: Figure, what: str, of: str = "") -> None:
    """What is looked at, and of which model, chip and variant."""
    figure.suptitle(f"{what}: {of}" if of else what, x=0.01, ha="left", fontsize=SMALL + 2)


def grid(axes: Axes, **settings: Any) -> None:
    """Faint lines behind everything else."""
    axes.set_axisbelow(True)
    axes.grid(True, color=FAINT, linewidth=0.5, **settings)


def plain_numbers(axis: Any) -> None:
    """Ticks of a logarithmic axis as plain numbers: 0.1, 20, 3000; those between powers of ten have
    theirs where the axis is short."""
    from matplotlib.ticker import FuncFormatter, LogFormatter

    class Between(LogFormatter):
        def __call__(self, value: float, pos: int | None = None) -> str:
            return f"{value:.12g}" if super().__call__(value, pos) else ""

    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.12g}"))
    axis.set_minor_formatter(Between())


def joined_spans(spans: list[Span], gap: float) -> list[Span]:
    """Spans in order of time; those closer than ``gap`` are one."""
    found: list[Span] = []
    for start, end in sorted(spans):
        if found and start - found[-1][1] <= gap:
            found[-1] = (found[-1][0], max(found[-1][1], end))
        else:
            found.append((start, end))
    return found
