"""One column of a sweep over two numeric keys, with lines of equal value."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from axsim.errors import InputError, Problem
from axsim.fidelity.prediction import number
from axsim.show.plots.axes import axis_name, fit_axis
from axsim.show.plots.labels import Label, place
from axsim.show.plots.style import SMALL, new_figure
from axsim.study.objective import Goal
from axsim.study.pareto import unknown_column

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from axsim.spec.chip import Chip

Values = np.ndarray[Any, np.dtype[np.float64]]

Marks = Mapping[str, tuple[float, float]]
"""Names of points of the map, and their x and y."""

COLOURS = "cividis"
"""Its lightness grows evenly, in greyscale and for colour-blind eyes too."""

STAR = 15
"""Size of a mark, points."""


def heat_map(
    frame: pd.DataFrame,
    x: str,
    y: str,
    value: str,
    *,
    marks: Marks | None = None,
    best: Label | None = None,
    title: str = "",
) -> Figure:
    """``value`` over the numeric columns ``x`` and ``y`` of a sweep, with labelled lines of equal
    value, a star at each of ``marks`` (see :func:`chip_marks`), and a ring with a label at the
    ``best`` cell.

    The rows must be a grid: one row for each pair of an x and a y. Rows with an error leave their
    cell empty. Marks beyond the grid are told below the picture.

    Raises:
        InputError: a column does not exist or has no numbers, there
            are several rows for a pair, or fewer than two different x or y.
    """
    xs, ys, values = _grid(frame, x, y, value)
    figure = new_figure(7.2, 5.4)
    axes = figure.add_subplot()
    image = axes.pcolormesh(xs, ys, values, shading="nearest", cmap=COLOURS, rasterized=True)
    bar = figure.colorbar(image, ax=axes)
    bar.set_label(axis_name(value))
    fit_axis(axes, "x", x, list(xs))
    fit_axis(axes, "y", y, list(ys))
    axes.set_title(title, fontsize=SMALL + 2)
    axes.set_xlim(xs[0], xs[-1])
    axes.set_ylim(ys[0], ys[-1])
    taken = list((marks or {}).values())
    _lines(axes, xs, ys, values, [*taken, *([(best.x, best.y)] if best else [])])
    if best is not None:
        _ring(axes, best)
    _marks(axes, dict(marks or {}), best, xs, ys)
    return figure


def best_cell(frame: pd.DataFrame, goal: Goal, x: str, y: str) -> Label | None:
    """The cell of the row that is best, the first of equals, with its figure."""
    leaders = goal.leaders(frame.to_dict("records"))
    if not leaders:
        return None
    row = leaders[0]
    text = number(row[goal.objectives[0].column])
    return Label(f"best: {text}", float(row[x]), float(row[y]))


def chip_marks(chips: Sequence[Chip], x: str, y: str) -> dict[str, tuple[float, float]]:
    """Where chips are on a map over two chip keys, as a sweep names them (``chip.dram.peak_gbps``).

    A number that a file gives in another way (a data rate in place of the peak bandwidth) is
    derived; a chip without one of the two numbers is left out.
    """
    found = {chip.name: (_key(chip, x), _key(chip, y)) for chip in chips}
    return {name: (a, b) for name, (a, b) in found.items() if a is not None and b is not None}


_DERIVED = {
    "dram.peak_gbps": lambda chip: chip.dram.bandwidth_gbps,
    "npu.int8_tops": lambda chip: chip.structural_int8_tops,
    "npu.conv.int8_macs_per_cycle": lambda chip: chip.int8_macs_per_cycle,
    "npu.ocm_bytes": lambda chip: chip.ocm_bytes,
    "calibrated.ocm_bytes": lambda chip: chip.ocm_bytes,
}
"""Keys that stand for a number which a chip file can say in other ways."""


def _key(chip: Chip, key: str) -> float | None:
    prefix, _, path = key.partition(".")
    if prefix != "chip":
        return None
    if path in _DERIVED:
        return float(_DERIVED[path](chip))
    here: Any = chip
    for part in path.split("."):
        here = getattr(here, part, None)
    return float(here) if isinstance(here, int | float) and not isinstance(here, bool) else None


def _grid(frame: pd.DataFrame, x: str, y: str, value: str) -> tuple[Values, Values, Values]:
    """Ascending xs, ascending ys, and values [y, x] with NaN where there is none."""
    import pandas as pd

    for name in (x, y, value):
        if name not in frame.columns:
            raise unknown_column(name, list(frame.columns))
    numbers = frame[[x, y, value]].apply(pd.to_numeric, errors="coerce")
    for name in (x, y, value):
        if numbers[name].isna().all():
            raise InputError(Problem("", name, "has no numbers to draw"))
    numbers = numbers.dropna(subset=[x, y])
    if numbers.duplicated([x, y]).any():
        what = f"has several rows for one {x} and {y}"
        raise InputError(Problem("", "", f"the table {what}", "one chip and one variant"))
    table = numbers.pivot(index=y, columns=x, values=value).sort_index().sort_index(axis=1)
    if min(table.shape) < 2:
        raise InputError(f"a heat map needs two or more values of {x} and of {y}")
    return (
        table.columns.to_numpy(dtype=float),
        table.index.to_numpy(dtype=float),
        table.to_numpy(dtype=float),
    )


def _lines(
    axes: Any, xs: Values, ys: Values, values: Values, marks: Sequence[tuple[float, float]]
) -> None:
    """Lines of equal value, black with a white halo, each with its number where there is room."""
    from matplotlib.patheffects import withStroke

    if np.nanmin(values) == np.nanmax(values):
        return
    lines = axes.contour(xs, ys, np.ma.masked_invalid(values), levels=8, colors="black",
                         linewidths=0.9)  # fmt: skip
    lines.set_path_effects([withStroke(linewidth=2, foreground="white", alpha=0.6)])
    figure = axes.get_figure()
    figure.draw_without_rendering()  # the layout, and with it where the lines are
    points = _label_points(axes, lines, marks, figure.dpi / 72)
    if not points:
        return
    for text in axes.clabel(lines, fmt="%g", fontsize=SMALL + 1, manual=points):
        text.set_path_effects([withStroke(linewidth=2.5, foreground="white")])


def _label_points(
    axes: Any, lines: Any, marks: Sequence[tuple[float, float]], scale: float
) -> list[tuple[float, float]]:
    """A place for the number of each line, near the middle of its longest piece, where it lies in
    the frame and covers neither another number nor a mark; none for lines without such a place.
    ``scale`` is pixels per point."""
    frame = axes.get_window_extent()
    taken = [(*axes.transData.transform(mark), STAR * scale) for mark in marks]
    found = []
    for level, path in zip(lines.levels, lines.get_paths(), strict=True):
        pieces = path.to_polygons(closed_only=False)
        reach = (0.33 * len(f"{level:g}") + 0.4) * (SMALL + 1) * scale
        for x, y in _along(axes, pieces, reach / 2):
            inside = frame.x0 + reach < x < frame.x1 - reach
            inside = inside and frame.y0 + reach < y < frame.y1 - reach
            free = all(max(abs(x - u), abs(y - v)) > reach + r for u, v, r in taken)
            if inside and free:
                taken.append((x, y, reach))
                found.append(tuple(axes.transData.inverted().transform((x, y))))
                break
    return found


def _along(axes: Any, pieces: Sequence[Values], step: float) -> Iterator[tuple[float, float]]:
    """Points in pixels on the pieces of a line, the longest piece first, each from its middle."""
    drawn = [axes.transData.transform(piece) for piece in pieces if len(piece) > 1]
    lengths = [np.hypot(*np.diff(piece, axis=0).T) for piece in drawn]
    for index in sorted(range(len(drawn)), key=lambda i: (-lengths[i].sum(), i)):
        way = np.concatenate([[0.0], np.cumsum(lengths[index])])
        steps = np.arange(0.0, way[-1], step)
        for at in sorted(steps, key=lambda at: abs(at - way[-1] / 2)):
            x, y = (np.interp(at, way, drawn[index][:, axis]) for axis in (0, 1))
            yield float(x), float(y)


def _ring(axes: Any, best: Label) -> None:
    """Black between two white ones: seen on the darkest and the lightest cell."""
    for color, width in (("white", 5.0), ("black", 2.0)):
        axes.plot(
            [best.x],
            [best.y],
            marker="o",
            markersize=STAR + 3,
            markerfacecolor="none",
            markeredgecolor=color,
            markeredgewidth=width,
            linestyle="none",
            clip_on=False,
            zorder=4,
        )


def _marks(axes: Any, marks: Marks, best: Label | None, xs: Values, ys: Values) -> None:
    inside = {
        name: (x, y)
        for name, (x, y) in marks.items()
        if xs[0] <= x <= xs[-1] and ys[0] <= y <= ys[-1]
    }
    outside = [f"{name} ({x:g}, {y:g})" for name, (x, y) in marks.items() if name not in inside]
    if outside:
        text = f"beyond the map: {', '.join(outside)}"
        axes.set_xlabel(f"{axes.get_xlabel()}\n{text}")
    for x, y in inside.values():
        axes.plot(
            [x],
            [y],
            marker="*",
            markersize=STAR,
            markerfacecolor="white",
            markeredgecolor="black",
            linestyle="none",
            clip_on=False,
            zorder=4,
        )
    labels = [Label(name, x, y) for name, (x, y) in inside.items()]
    place(axes, [*([best] if best else []), *labels], size=SMALL + 1)
