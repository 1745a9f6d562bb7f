"""Two columns of a sweep against each other: what the faster setting costs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from axsim.analysis.plots.labels import Label, place
from axsim.analysis.plots.style import ACCENT, INK, SMALL, grid, new_figure
from axsim.errors import InputError
from axsim.sweeps.objective import direction_of
from axsim.sweeps.pareto import non_dominated, objective_values

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

Direction = Literal["min", "max"]

MARKERS = (
    ("o", INK),
    ("^", "#9fb4c8"),
    ("s", "white"),
    ("D", ACCENT),
    ("v", "0.5"),
    ("P", "white"),
)
"""Marker and fill of each group of rows."""

MOST_LABELS = 24
"""With more rows than this only those of the front are labelled."""


def tradeoff(
    frame: pd.DataFrame,
    x: str = "image_to_first_token_ms",
    y: str = "cosine",
    *,
    label: str | None = "variant",
    group: str | None = "chip",
    x_direction: Direction | None = None,
    y_direction: Direction | None = None,
    title: str = "",
) -> Figure:
    """A scatter of two columns of a sweep with the Pareto front drawn through it.

    The rows of one value of ``group`` share a marker; each row is labelled with its value of
    ``label``. Directions say whether less or more is better; by default they follow from the
    columns' names (milliseconds and bytes less, tokens/s and cosine more). Rows without both
    numbers are left out. Says so when the similarities come from synthetic weights.

    Raises:
        InputError: matplotlib is not installed, a column does not exist or has no numbers, or
            nothing can be drawn.
    """
    least = [name for name, way in ((x, x_direction), (y, y_direction)) if _way(name, way) == "min"]
    most = [name for name in (x, y) if name not in least]
    columns = frame.to_dict("list")
    values = objective_values(columns, least, most)
    usable = np.flatnonzero(~np.isnan(values).any(axis=1))
    if not len(usable):
        raise InputError(f"there is nothing to draw: no row has both {x} and {y}")
    front = [int(i) for i in np.flatnonzero(non_dominated(values))]
    xs, ys = ({int(i): float(columns[name][i]) for i in usable} for name in (x, y))
    figure = new_figure(7.5, 5)
    axes = figure.add_subplot()
    _front(axes, sorted((xs[i], ys[i]) for i in front), y in most)
    groups = dict.fromkeys(str(columns[group][i]) if group in columns else "" for i in usable)
    for number, name in enumerate(groups):
        own = [i for i in xs if not name or str(columns[group][i]) == name]
        marker, fill = MARKERS[number % len(MARKERS)]
        axes.plot(
            [xs[i] for i in own],
            [ys[i] for i in own],
            linestyle="none",
            marker=marker,
            markersize=7,
            markeredgecolor=INK,
            markerfacecolor=fill,
            label=name or "rows",
            zorder=3,
        )
    axes.margins(0.12)
    axes.set_xlabel(axis_name(x) + _better(x in least))
    axes.set_ylabel(axis_name(y) + _better(y in least))
    grid(axes)
    axes.legend(fontsize=SMALL + 1, loc="best")
    notes = [title] if title else []
    if "cosine" in x + y and any(columns.get("synthetic", ())):
        notes.append("cosine on synthetic weights: what the arithmetic loses, not a trained model")
    axes.set_title("\n".join(notes), fontsize=SMALL + 1)
    if label in columns:
        chosen = front if len(xs) > MOST_LABELS else [*front, *(i for i in xs if i not in front)]
        labels = [Label(str(columns[label][i]), xs[i], ys[i]) for i in chosen]
        place(axes, labels, [(xs[i], ys[i]) for i in xs if i not in chosen])
    return figure


def axis_name(column: str) -> str:
    """A column's name as people read it, with its unit: ``image to first token, ms``."""
    known = {"cosine": "cosine similarity to float32", "decode_tokens_per_s": "decode, tokens/s"}
    if column in known:
        return known[column]
    for suffix, unit in UNITS.items():
        if column.endswith(suffix):
            return f"{column.removesuffix(suffix).replace('_', ' ')}, {unit}"
    return column


UNITS = {
    "_ms": "ms",
    "_us": "µs",
    "_bytes": "bytes",
    "_gbps": "GB/s",
    "_mtps": "MT/s",
    "_mhz": "MHz",
    "_tops": "TOPS",
    "_bits": "bits",
    "_macs_per_cycle": "MACs per cycle",
}
"""Units at the ends of names."""


def _way(name: str, given: Direction | None) -> Direction:
    return given or direction_of(name)


def _better(less: bool) -> str:
    return "  (less is better)" if less else "  (more is better)"


def _front(axes: Any, points: list[tuple[float, float]], up: bool) -> None:
    """The front as stairs: the region that its points dominate is beyond them."""
    xs, ys = zip(*points, strict=True)
    axes.plot(
        xs, ys, drawstyle="steps-post", color=ACCENT, linewidth=1.4, label="Pareto front", zorder=2
    )
