"""The picture of a sweep that its varied keys and objectives ask for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from axsim.errors import InputError
from axsim.show.plots.heat_map import Marks, best_cell, heat_map
from axsim.show.plots.scenario_sweep import scenario_sweep
from axsim.show.plots.tradeoff import Lead, tradeoff
from axsim.study.objective import Goal, Objective
from axsim.system.metrics import WAITS

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

ACCURACY = ("perplexity", "cosine")
"""What tells how accurate a build is: the first that has values which differ, else that has any."""
OTHERS = ("decode_tokens_per_s", "weights_bytes")
"""What is set against the time where nothing was computed."""


def accuracy_picture(
    frame: pd.DataFrame,
    y: str | None = None,
    x: str | None = None,
    label: str | Sequence[str] = "variant",
) -> Figure:
    """How accurate builds are against how long they take: the trade-off of ``y`` (default: the
    first of :data:`ACCURACY` in which they differ) and ``x`` (the first of
    :data:`~axsim.system.metrics.WAITS` in which they differ), of the rows of a sweep or of
    ``axsim.run(…).to_pandas().reset_index()``.

    Raises:
        InputError: as :func:`tradeoff`; no row has a value to draw.
    """
    rows = frame[frame["error"].isna()] if "error" in frame.columns else frame
    y = y or _telling_apart(rows, ACCURACY) or _first(rows, ACCURACY)
    x = x or _telling_apart(rows, SPEEDS) or _first(rows, WAITS)
    return tradeoff(
        rows, x, y, label=label, title=_title(rows, "Accuracy against time"), level=LEVELS.get(y)
    )


SPEEDS = (*WAITS, "decode_tokens_per_s")
LEVELS = {"perplexity": "float32_perplexity"}
"""Columns that hold what float32 reaches, drawn as a line."""


def sweep_picture(
    frame: pd.DataFrame,
    vary: Mapping[str, Sequence[Any]],
    goal: Goal | None = None,
    marks: Marks | None = None,
) -> Figure:
    """A heat map of the first objective, its best cell ringed, when two numeric keys vary, of one
    chip and one variant; else the trade-off between the first two objectives, with the rows ringed
    that lead (:meth:`~axsim.study.objective.Goal.leaders`; of one objective, the best).

    Rows of a scenario are drawn by :func:`scenario_sweep`.

    Without a goal, image to first token (or what of a request's times differs), and against it
    perplexity or similarity when the kernels ran, decode speed otherwise.

    Raises:
        InputError: as :func:`heat_map` and :func:`tradeoff`; no row has a value to draw.
    """
    if "scenario" in frame.columns:
        return scenario_sweep(frame, vary, goal)
    objectives = goal.objectives if goal else ()
    chosen = [each.column for each in objectives[:2]]
    several = [key for key, values in vary.items() if len(values) > 1]
    ways = {each.column: each.direction for each in objectives}
    rows = frame[frame["error"].isna()]
    numeric = [key for key in several if all(_number(value) for value in vary[key])]
    if len(numeric) == len(several) == 2 and not rows.duplicated(several).any():
        value = chosen[0] if chosen else _first(rows, WAITS)
        x, y = several
        limits = goal.constraints if goal else ()
        wanted = Goal((*objectives[:1], Objective(value, "min"))[:1], limits)
        best, title = best_cell(rows, wanted, x, y), _title(rows)
        if best is not None:
            title = f"{title}\nring: {wanted}"
        return heat_map(rows, x, y, value, marks=marks, best=best, title=title)
    if len(chosen) < 2:
        waits = _telling_apart(rows, SPEEDS) or _first(rows, WAITS)
        others = _telling_apart(rows, ACCURACY) or _first(rows, (*ACCURACY, *OTHERS))
        chosen = list(dict.fromkeys([*chosen, waits, others, *OTHERS]))[:2]
    labels = _telling(rows, [["variant"], several, ["variant", *several]])
    x, y = chosen
    return tradeoff(
        rows, x, y, label=labels, x_direction=ways.get(x), y_direction=ways.get(y),
        title=_title(rows, "Trade-off", labels), level=LEVELS.get(y),
        lead=_lead(rows, goal) if goal else None,
    )  # fmt: skip


def _lead(frame: pd.DataFrame, goal: Goal) -> Lead:
    """The rows that the terminal names too."""
    rows = [{**row, "": place} for place, row in enumerate(frame.to_dict("records"))]
    places = [row[""] for row in goal.leaders(rows)]
    if len(goal.objectives) == 1:
        return Lead(f"best: {goal}", tuple(places[:1]))
    return Lead(f"Pareto front: {goal}", tuple(places), joined=len(goal.objectives) == 2)


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _telling(frame: pd.DataFrame, choices: Sequence[list[str]]) -> list[str]:
    """The first choice of columns that tells the rows of a chip apart, else the last one."""
    for names in choices:
        if names and not frame.duplicated(["chip", *names]).any():
            return [name for name in names if frame[name].nunique() > 1] or names
    return choices[-1]


def _telling_apart(frame: pd.DataFrame, names: Iterable[str]) -> str | None:
    """The first column that all rows have a value in, and not all the same."""
    for name in names:
        if name in frame.columns and frame[name].notna().all() and frame[name].nunique() > 1:
            return name
    return None


def _first(frame: pd.DataFrame, names: Iterable[str]) -> str:
    for name in names:
        if name in frame.columns and frame[name].notna().any():
            return name
    raise InputError(f"there is nothing to draw: no row has {' or '.join(names)}")


def _title(frame: pd.DataFrame, what: str = "", labels: Sequence[str] = ()) -> str:
    """What is looked at, of which model, chip and variant where there is one, and whose values
    the labels are."""
    parts = [frame[name].iloc[0] for name in ("model", "chip", "variant")
             if name in frame.columns and len(frame) and frame[name].nunique() == 1]  # fmt: skip
    of = " ".join(map(str, parts))
    text = f"{what}: {of}" if what and of else what or of
    keys = [name.rpartition(".")[2].replace("_", " ") for name in labels]
    return f"{text}\nlabels: {', '.join(keys)}" if set(keys) - {"variant"} else text
