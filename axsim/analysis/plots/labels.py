"""Labels of points that cover neither each other nor the points."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from math import cos, hypot, pi, sin
from typing import TYPE_CHECKING, Any, NamedTuple

from axsim.analysis.plots.style import SMALL

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MARKER = 5.0
"""Points that a marker reaches in each direction."""
DISTANCES = (9.0, 15.0, 24.0, 36.0, 50.0)
"""Points between a marker and its label, nearest first."""
DIRECTIONS = 12
"""Directions that are tried at each distance."""
PIECE = 4.0
"""Pixels of a piece of a line."""
LEADER = 12.0
"""From this distance on a line leads from the label to its point."""


class Label(NamedTuple):
    """A text at a point in data coordinates."""

    text: str
    x: float
    y: float


class Box(NamedTuple):
    """A rectangle in pixels."""

    left: float
    bottom: float
    right: float
    top: float

    def overlap(self, other: Box) -> float:
        """The area that both cover."""
        width = min(self.right, other.right) - max(self.left, other.left)
        height = min(self.top, other.top) - max(self.bottom, other.bottom)
        return max(0.0, width) * max(0.0, height)

    def outside(self, other: Box) -> float:
        """The area of this one that ``other`` does not cover."""
        return (self.right - self.left) * (self.top - self.bottom) - self.overlap(other)


def place(
    axes: Axes,
    labels: Sequence[Label],
    others: Sequence[tuple[float, float]] = (),
    size: float = SMALL,
) -> None:
    """Write labels next to their points, the first ones with the first choice.

    Call it when the limits of the axes are final and everything else is drawn. ``others`` are
    further points, in data coordinates, that no label should cover. A label goes to the nearest
    place around its point where it covers no point, text, legend or line of the axes, or the least.
    """
    from matplotlib.patheffects import withStroke

    figure: Any = axes.get_figure()
    figure.draw_without_rendering()  # the layout, and with it where points are
    scale = figure.dpi / 72
    frame = axes.get_window_extent()
    inside = Box(frame.x0, frame.y0, frame.x1, frame.y1)
    points = [(each.x, each.y) for each in labels]
    centres = [tuple(axes.transData.transform(each)) for each in (*points, *others)]
    reach = MARKER * scale
    taken = [Box(x - reach, y - reach, x + reach, y + reach) for x, y in centres]
    taken += _drawn(axes)
    for label, (x, y) in zip(labels, centres, strict=False):
        note = axes.annotate(
            label.text,
            (label.x, label.y),
            (0, 0),
            textcoords="offset points",
            fontsize=size,
            ha="center",
            va="center",
            zorder=5,
        )
        note.set_in_layout(False)
        note.set_path_effects([withStroke(linewidth=2, foreground="white")])
        extent = note.get_window_extent()
        half = extent.width / 2 + scale, extent.height / 2 + scale
        best = min(
            _offsets(half, scale),
            key=lambda offset: _cost(x, y, half, offset, taken, inside),
        )
        taken.append(_box(x, y, half, best))
        note.set_position((best[0] / scale, best[1] / scale))
        if hypot(*_gap(half, best)) > LEADER * scale:
            axes.annotate(
                "",
                (label.x, label.y),
                (best[0] / scale, best[1] / scale),
                textcoords="offset points",
                arrowprops={"arrowstyle": "-", "color": "0.5", "linewidth": 0.6, "shrinkB": 3},
                zorder=2,
            ).set_in_layout(False)


def _drawn(axes: Axes) -> Iterator[Box]:
    """Texts, the legend, and small pieces of lines."""
    legend = axes.get_legend()
    for artist in (*axes.texts, *([legend] if legend else [])):
        extent = artist.get_window_extent()
        yield Box(extent.x0, extent.y0, extent.x1, extent.y1)
    for line in axes.lines:
        if line.get_linestyle() in ("None", "none", "", " "):
            continue
        vertices: Any = line.get_transform().transform_path(line.get_path()).vertices
        for (x0, y0), (x1, y1) in pairwise(vertices):
            pieces = max(1, int(max(abs(x1 - x0), abs(y1 - y0)) / PIECE))
            for step in range(pieces + 1):
                x, y = x0 + (x1 - x0) * step / pieces, y0 + (y1 - y0) * step / pieces
                yield Box(x - PIECE / 2, y - PIECE / 2, x + PIECE / 2, y + PIECE / 2)


def _offsets(half: tuple[float, float], scale: float) -> Iterator[tuple[float, float]]:
    """Centres of the label relative to its point, pixels, nearest first."""
    for distance in DISTANCES:
        for step in range(DIRECTIONS):
            angle = 2 * pi * step / DIRECTIONS
            reach = distance * scale
            yield cos(angle) * (half[0] + reach), sin(angle) * (half[1] + reach)


def _gap(half: tuple[float, float], offset: tuple[float, float]) -> tuple[float, float]:
    """From the label's edge to its point."""
    return tuple(max(0.0, abs(o) - h) for o, h in zip(offset, half, strict=True))  # type: ignore[return-value]


def _box(x: float, y: float, half: tuple[float, float], offset: tuple[float, float]) -> Box:
    middle = x + offset[0], y + offset[1]
    return Box(middle[0] - half[0], middle[1] - half[1], middle[0] + half[0], middle[1] + half[1])


def _cost(
    x: float,
    y: float,
    half: tuple[float, float],
    offset: tuple[float, float],
    taken: Sequence[Box],
    inside: Box,
) -> float:
    """What a place hides; among free ones the first wins."""
    box = _box(x, y, half, offset)
    return sum(box.overlap(other) for other in taken) + 2 * box.outside(inside)
