"""Two columns of a sweep against each other: what the faster setting costs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from axsim.errors import InputError
from axsim.show.palette import ACCENT, INK, SERIES
from axsim.show.plots.axes import fit_axis
from axsim.show.plots.labels import Label, place
from axsim.show.plots.style import SMALL, grid, new_figure
from axsim.study.objective import OF_TEXT, Direction, direction_of
from axsim.study.pareto import non_dominated, objective_values, unknown_column

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

MARKERS = (
    ("o", INK),
    ("^", SERIES[1].color),
    ("s", "white"),
    ("D", ACCENT),
    ("v", "0.5"),
    ("P", "white"),
)
"""Marker and fill of each group of rows."""

WIDTH = 7.5
ENTRY = (0.6, 0.075)
"""Inches that an entry of the legend takes, and each letter of it."""

MOST_LABELS = 24
"""With more rows than this only those of the fronts are labelled."""


class Lead(NamedTuple):
    """Rows by their place in the table that are ringed, what they are called, and whether a line
    joins them."""

    name: str
    rows: tuple[int, ...]
    joined: bool = False


def tradeoff(
    frame: pd.DataFrame,
    x: str = "image_to_first_token_ms",
    y: str = "cosine",
    *,
    label: str | Sequence[str] | None = "variant",
    group: str | None = "chip",
    x_direction: Direction | None = None,
    y_direction: Direction | None = None,
    title: str = "",
    level: str | None = None,
    lead: Lead | None = None,
) -> Figure:
    """A scatter of two columns of a sweep with the Pareto front of each group.

    The rows of one value of the column ``group`` share a marker and have a front of their own (all
    rows have one front, without ``group``); where rows ``lead``, they are ringed in place of those
    fronts. Each row is labelled with its values of the columns ``label``, and with its group where
    groups have labels in common; only those of the fronts when there are many. Directions say
    whether less or more is better; by default they follow from the columns' names (milliseconds and
    bytes less, tokens/s and cosine more). Rows without both numbers are left out. A title says when
    the similarities come from synthetic weights, and on how much text a perplexity was taken.
    ``level`` is the column with what float32 reaches of ``y``: a line where all rows agree.

    Raises:
        InputError: a column does not exist or has no numbers, or
            nothing can be drawn.
    """
    names = [label] if isinstance(label, str) else list(label or ())
    columns = frame.to_dict("list")
    for name in (*names, *([group] if group else [])):
        if name not in columns:
            raise unknown_column(name, list(columns))
    ways = {x: x_direction or direction_of(x), y: y_direction or direction_of(y)}
    least = [name for name, way in ways.items() if way == "min"]
    values = objective_values(columns, least, [name for name in ways if name not in least])
    rows = [int(row) for row in np.flatnonzero(~np.isnan(values).any(axis=1))]
    if not rows:
        raise InputError(f"there is nothing to draw: no row has both {x} and {y}")
    places = {row: (float(columns[x][row]), float(columns[y][row])) for row in rows}
    groups: dict[str, list[int]] = {}
    for row in rows:
        groups.setdefault(str(columns[group][row]) if group else "", []).append(row)
    figure = new_figure(WIDTH, 5)
    axes = figure.add_subplot()
    stairs = "post" if x in least else "pre"
    front: list[int] = []
    ringed = "Pareto front"
    if lead is not None:
        ringed, front = lead.name, [row for row in lead.rows if row in places]
        _front(axes, [places[row] for row in front], stairs if lead.joined else "", ringed)
    elif len(groups) > 1:
        ringed = "Pareto front of each"
    for number, (name, own) in enumerate(groups.items()):
        if lead is None:
            best = [own[i] for i in np.flatnonzero(non_dominated(values[own]))]
            _front(axes, [places[row] for row in best], stairs, "_" if number else ringed)
            front += best
        _rows(axes, [places[row] for row in own], name, number)
    for which, name in (("x", x), ("y", y)):
        fit_axis(axes, which, name, [places[row][which == "y"] for row in rows])
        better = "less" if name in least else "more"
        text = f"{axes.get_xlabel() if which == 'x' else axes.get_ylabel()}  ({better} is better)"
        (axes.set_xlabel if which == "x" else axes.set_ylabel)(text)
    axes.margins(0.12)
    drawn = _level(axes, columns.get(level, ()) if level else (), rows)
    grid(axes)
    figure.legend(
        loc="outside lower center",
        ncols=_columns([ringed, *groups, *drawn]),
        fontsize=SMALL + 1,
        frameon=False,
    )
    axes.set_title("\n".join(_notes(columns, ways, title)), fontsize=SMALL + 1)
    if names:
        chosen = front if len(rows) > MOST_LABELS else [*front, *(set(rows) - set(front))]
        texts = _labels(columns, names, group, chosen)
        labels = [Label(text, *places[row]) for text, row in zip(texts, chosen, strict=True)]
        place(axes, labels, [places[row] for row in rows if row not in chosen])
    return figure


def _level(axes: Any, values: Sequence[float | None], rows: Sequence[int]) -> list[str]:
    """A dashed line at what float32 reaches, and its name."""
    found = {values[row] for row in rows} if values else set()
    value = next(iter(found), None)
    if len(found) == 1 and value is not None:
        axes.axhline(value, color="0.45", linewidth=1, linestyle="--", zorder=1, label="float32")
        return ["float32"]
    return []


def _columns(names: Sequence[str]) -> int:
    """Entries of the legend that have room side by side."""
    rest, letter = ENTRY
    return max(1, min(len(names), int(WIDTH / (rest + letter * max(map(len, names))))))


def _labels(
    columns: Mapping[Any, Any], names: Sequence[str], group: str | None, rows: Sequence[int]
) -> list[str]:
    """What tells the rows apart: the group is named too where two have the same label."""
    texts = [" ".join(str(columns[name][row]) for name in names) for row in rows]
    if group is None or group in names or len(set(texts)) == len(texts):
        return texts
    return [f"{columns[group][row]} {text}" for row, text in zip(rows, texts, strict=True)]


def _front(axes: Any, points: list[tuple[float, float]], stairs: str, name: str) -> None:
    """The points ringed and, unless ``stairs`` is empty, joined: what they dominate lies behind."""
    if not points:
        return
    xs, ys = zip(*sorted(points), strict=True)
    joined: Any = {"drawstyle": f"steps-{stairs}"} if stairs else {"linestyle": "none"}
    axes.plot(
        xs,
        ys,
        **joined,
        color=ACCENT,
        linewidth=1.4,
        marker="o",
        markersize=13,
        markerfacecolor="none",
        markeredgewidth=1.2,
        label=name,
        zorder=2,
    )


def _rows(axes: Any, points: list[tuple[float, float]], name: str, number: int) -> None:
    marker, fill = MARKERS[number % len(MARKERS)]
    xs, ys = zip(*points, strict=True)
    axes.plot(
        xs,
        ys,
        linestyle="none",
        marker=marker,
        markersize=7,
        markeredgecolor=INK,
        markerfacecolor=fill,
        label=name or "rows",
        zorder=3,
    )


def _notes(columns: Mapping[Any, Any], names: Iterable[str], title: str) -> Iterator[str]:
    """The lines of the title."""
    if title:
        yield title
    judged = columns.get("judged_tokens", ())
    counts = sorted({int(each) for each in judged if each and each == each})
    if counts and any(name.endswith(OF_TEXT) for name in names):
        yield f"trained weights, judged on {counts[-1]:,} tokens of text"
    similar = any(name.endswith("cosine") for name in names)
    if similar and any(each == 1 for each in columns.get("synthetic", ())):
        yield "cosine on synthetic weights: what the arithmetic loses, not a trained model"
