"""What becomes of a scenario's requests as a key of it changes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from axsim.errors import InputError
from axsim.show.palette import ACCENT, CURVES
from axsim.show.plots.axes import WIDE, axis_name, fit_axis
from axsim.show.plots.heat_map import best_cell, heat_map
from axsim.show.plots.style import LINES, MARKS, SMALL, grid, new_figure, plain_numbers
from axsim.study.objective import Goal, Objective

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

MOST = 12
"""Curves of a picture."""
WAITS = ("first_token_p95_ms", "latency_p95_ms")
"""What a tenant's requests are judged by: the first of these that it has."""


def scenario_sweep(
    frame: pd.DataFrame, vary: Mapping[str, Sequence[Any]], goal: Goal | None = None
) -> Figure:
    """The columns of the goal that are no varied keys, else what 95 of 100 requests of each tenant
    take, over the first numeric key that varies, else over the first; a curve for each value of the
    others, dashed lines for the goal's limits. Of two numeric keys on one chip a heat map. The best
    row has a ring.

    Raises:
        InputError: no key varies, no row has a value to draw, or there are too many curves.
    """
    rows = frame[frame["error"].isna()]
    several = [key for key, values in vary.items() if len(values) > 1]
    numbers = [key for key in several if all(_number(value) for value in vary[key])]
    chosen = [each for each in (goal.columns if goal else ()) if each not in vary]
    chosen = [each for each in chosen if each in rows.columns and rows[each].map(_number).any()]
    chosen = chosen or _waits(rows)
    if not several or not len(rows):
        what = "no key varies" if not several else "no row was computed"
        raise InputError(f"there is nothing to draw: {what}")
    if not chosen:
        raise InputError("there is nothing to draw: no request was answered")
    title = " on ".join(
        str(rows[name].iloc[0]) for name in ("scenario", "chip") if rows[name].nunique() == 1
    )
    if len(numbers) == len(several) == 2 and not rows.duplicated(several).any():
        x, y = several
        limits = goal.constraints if goal else ()
        objectives = (*(goal.objectives if goal else ()), Objective(chosen[0], "min"))
        wanted = Goal(objectives[:1], limits)
        best = best_cell(rows, wanted, x, y)
        title += f"\nring: {wanted}" if best is not None else ""
        return heat_map(rows, x, y, chosen[0], best=best, title=title)
    key = (numbers or several)[0]
    if not numbers:
        rows = rows.assign(**{key: rows[key].map(str)})
    others = [name for name in ("chip", *several) if name != key and rows[name].nunique() > 1]
    figure = new_figure(7.5, 4.4)
    axes = figure.subplots()
    groups = list(rows.groupby(others, sort=False)) if others else [((), rows)]
    if len(groups) * len(chosen) > MOST:
        what = f"{len(groups) * len(chosen)} curves are more than can be told apart"
        raise InputError(f"{what}: vary fewer keys, or name an --objective (up to {MOST})")
    leading = goal.leaders(rows.to_dict("records"))[:1] if goal else []
    values: list[float] = []
    for number, (names, own, column) in enumerate(
        (names, own, column) for names, own in groups for column in chosen
    ):
        own = own.dropna(subset=[column])
        own = own.sort_values(key) if numbers else own
        label = [column] if len(chosen) > 1 else []
        label += [f"{_last(k)}={v}" for k, v in zip(others, names, strict=True)]
        look: Any = {"color": CURVES[number % 4], "linestyle": LINES[number // 4 % 4]}
        axes.plot(
            own[key], own[column], marker=MARKS[number % 6], markersize=5, linewidth=1.5,
            label=", ".join(label) or None, **look,
        )  # fmt: skip
        values += list(own[column])
        for row in leading:
            if all(row[k] == v for k, v in zip(others, names, strict=True)):
                axes.plot(row[key], row[column], marker="o", markersize=13, color=ACCENT,
                          markerfacecolor="none", linestyle="none",
                          label="best" if column == chosen[-1] else None)  # fmt: skip
    for limit in goal.constraints if goal else ():
        if limit.column in chosen and _number(limit.value):
            axes.axhline(float(limit.value), color="black", linewidth=1, linestyle="--")
            axes.annotate(
                f"{limit.operator} {limit.value:g}", (1.0, float(limit.value)), fontsize=SMALL,
                xycoords=("axes fraction", "data"), xytext=(-4, 3), textcoords="offset points",
                ha="right",
            )  # fmt: skip
            values.append(float(limit.value))
    if numbers:
        fit_axis(axes, "x", key, list(rows[key]))
    else:
        axes.set_xlabel(key)
    _upright(axes, chosen, values)
    axes.tick_params(labelsize=SMALL, which="both")
    grid(axes)
    if axes.get_legend_handles_labels()[1]:
        figure.legend(loc="outside lower center", ncols=2, fontsize=SMALL, frameon=False)
    axes.set_title(title, fontsize=SMALL + 2, loc="left")
    return figure


def _waits(rows: pd.DataFrame) -> list[str]:
    """Of each tenant, what its requests are judged by."""
    found: dict[str, str] = {}
    for wait in WAITS:
        for name in rows.columns:
            tenant, dot, what = name.rpartition(".")
            if dot and what == wait and rows[name].notna().any():
                found.setdefault(tenant, name)
    return list(found.values())


def _upright(axes: Any, columns: Sequence[str], values: Sequence[float]) -> None:
    """The axis of one column by its name, of several by the unit that they share."""
    if len(columns) == 1:
        axes.set_ylabel(axis_name(columns[0]), fontsize=SMALL + 1)
    elif all(name.endswith("_ms") for name in columns):
        axes.set_ylabel("ms", fontsize=SMALL + 1)
    if min(values) > 0 and max(values) >= WIDE * min(values):
        axes.set_yscale("log")
        plain_numbers(axes.yaxis)
    else:
        axes.set_ylim(bottom=0)


def _last(key: str) -> str:
    return key.rpartition(".")[2]


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
