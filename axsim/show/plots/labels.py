"""Labels of points that cover neither each other nor the points."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from axsim.show.plots.style import SMALL

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MARKER = 7.0
"""Points that a marker reaches in each direction."""
DISTANCES = (9.0, 15.0, 24.0, 36.0, 50.0)
"""Points between a marker and its label, nearest first."""
DIRECTIONS = 12
"""Directions that are tried at each distance."""
PIECE = 4.0
"""Pixels of a piece of a line."""
PIECES = 16
"""Pieces of a line from a point to its label."""
LEADER = 12.0
"""From this distance on a line leads from the label to its point."""


class Label(NamedTuple):
    """A text at a point in data coordinates."""

    text: str
    x: float
    y: float


Values = np.ndarray[Any, np.dtype[np.float64]]
Boxes = np.ndarray[Any, np.dtype[np.float64]]
"""Rectangles [n, 4] in pixels: left, bottom, right, top."""


def place(
    axes: Axes,
    labels: Sequence[Label],
    others: Sequence[tuple[float, float]] = (),
    size: float = SMALL,
) -> None:
    """Write labels next to their points, the first ones with the first choice.

    Call it when the limits of the axes are final and everything else is drawn. ``others`` are
    further points, in data coordinates, that no label should cover. A label goes to the nearest
    place around its point where it covers no point, text, legend or line of the axes, or the least,
    and where the line that leads from it to its point crosses no text either.
    """
    from matplotlib.patheffects import withStroke

    figure: Any = axes.get_figure()
    figure.draw_without_rendering()  # the layout, and with it where points are
    scale = figure.dpi / 72
    frame = _boxes([axes])
    points = np.array([*((each.x, each.y) for each in labels), *others], dtype=float)
    centres = axes.transData.transform(points.reshape(-1, 2))
    reach = MARKER * scale
    taken = np.concatenate(
        [np.hstack([centres - reach, centres + reach]), _texts(axes), _lines(axes)]
    )
    written, led = _texts(axes), np.empty((0, 4))
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
        half = np.array([extent.width, extent.height]) / 2 + scale
        offsets = _offsets(half, scale)
        middles = offsets + np.array([x, y])
        places = np.hstack([middles - half, middles + half])
        hidden = _overlap(places, taken).sum(axis=1)
        outside = (4 * half.prod() - _overlap(places, frame)).sum(axis=1)
        far = np.hypot(*np.maximum(np.abs(offsets) - half, 0).T) > LEADER * scale
        leaders = _leaders(offsets, half, np.array([x, y]))
        around = (written[:, :2] <= (x, y)).all(axis=1) & (written[:, 2:] >= (x, y)).all(axis=1)
        shared = _overlap(leaders.reshape(-1, 4), written[~around]).sum(axis=1)
        crossed = far & (shared.reshape(len(offsets), -1).sum(axis=1) > 0)
        crossed |= _overlap(places, led).sum(axis=1) > 0
        cost = hidden + 8 * outside + crossed * 4 * half.prod()
        best = int(np.argmin(np.round(cost)))  # the first of equals
        taken = np.vstack([taken, places[best]])
        written = np.vstack([written, places[best]])
        to = tuple(offsets[best] / scale)
        note.set_position(to)
        if far[best]:
            led = np.vstack([led, leaders[best]])
            axes.annotate(
                "",
                (label.x, label.y),
                to,
                textcoords="offset points",
                arrowprops={"arrowstyle": "-", "color": "0.5", "linewidth": 0.6, "shrinkB": 3},
                zorder=2,
            ).set_in_layout(False)


def _texts(axes: Axes) -> Boxes:
    """Texts and the legend."""
    legend = axes.get_legend()
    return _boxes([*axes.texts, *([legend] if legend else [])])


def _lines(axes: Axes) -> Boxes:
    """Lines in small pieces."""
    from matplotlib.cbook import STEP_LOOKUP_MAP

    found = [np.empty((0, 2))]
    for line in axes.lines:
        if line.get_linestyle() in ("None", "none", "", " "):
            continue
        stairs = STEP_LOOKUP_MAP[line.get_drawstyle()]
        points: Any = line.get_xydata()
        vertices = np.stack(stairs(*points.T), axis=1)
        vertices = line.get_transform().transform(vertices)
        for start, end in pairwise(vertices):
            pieces = max(1, int(np.abs(end - start).max() / PIECE))
            found.append(np.linspace(start, end, pieces + 1))
    middles = np.concatenate(found)
    return np.hstack([middles - PIECE / 2, middles + PIECE / 2])


def _boxes(artists: Sequence[Any]) -> Boxes:
    extents = [artist.get_window_extent().extents for artist in artists]
    return np.array(extents, dtype=float).reshape(-1, 4)


def _offsets(half: Values, scale: float) -> Values:
    """Centres of the label relative to its point, pixels, nearest first."""
    angles = 2 * np.pi * np.arange(DIRECTIONS) / DIRECTIONS
    ring = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    return np.concatenate([ring * (half + distance * scale) for distance in DISTANCES])


def _leaders(offsets: Values, half: Values, point: Values) -> Values:
    """Lines [n, pieces, 4] from the point to each label's edge, in small pieces."""
    reach = np.abs(offsets) / half
    ends = offsets * (1 - 1 / np.maximum(reach.max(axis=1, keepdims=True), 1))
    steps = np.linspace(0, 1, PIECES)[:, None]
    middles = point + ends[:, None, :] * steps
    return np.concatenate([middles - PIECE / 2, middles + PIECE / 2], axis=2)


def _overlap(boxes: Boxes, others: Boxes) -> Values:
    """The areas [n, m] that each of n boxes shares with each of m others."""
    low = np.maximum(boxes[:, None, :2], others[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], others[None, :, 2:])
    areas: Values = np.maximum(high - low, 0.0).prod(axis=2)
    return areas
