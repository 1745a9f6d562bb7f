"""What a sweep was asked, answered in a line of words."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from axsim.fidelity.prediction import counted
from axsim.study.objective import Constraint, Goal, Row
from axsim.system.quantiles import enough

if TYPE_CHECKING:
    import pandas as pd

MOST = 10
"""Values that are listed of a column."""
_PERCENTILE = re.compile(r"(?P<tenant>.+)\.(latency|first_token)_p(?P<percent>\d+)_ms")


def answer(
    frame: pd.DataFrame,
    objective: str | Sequence[str],
    constraint: str | Sequence[str] = (),
    vary: Collection[str] = (),
) -> str:
    """What ``axsim sweep --objective`` says of a sweep's rows, in words. ``vary`` are the keys that
    were varied, as :func:`axsim.sweep` took them; the other arguments as of :func:`axsim.best`.

    >>> vary = {"tenants.detector.arrivals.fps": [5, 10, 20, 30]}
    >>> frame = axsim.sweep("camera_answers", None, vary)
    >>> print(axsim.answer(frame, "max:tenants.detector.arrivals.fps",
    ...                    "answer.latency_p95_ms<=7500", vary))

    Raises:
        InputError: as :func:`axsim.best`.
    """
    goal = Goal.parse(objective, constraint)
    goal.check(list(frame.columns))
    return in_words(frame.to_dict("records"), goal, list(vary))


def in_words(rows: Sequence[Row], goal: Goal, varied: Sequence[str]) -> str:
    """The best row; of a key that is as large (or small) as may be, what is wrong with the next."""
    leaders = goal.leaders(rows)
    if not leaders:
        asked = ", ".join(map(str, goal.constraints)) or "any number in the objective"
        return f"no row has {asked}: {'; '.join(shortfalls(rows, goal))}"
    if len(goal.objectives) > 1:
        return str(goal)
    best, (objective,) = leaders[0], goal.objectives
    value, several = text(best[objective.column]), [k for k in varied if _several(rows, k)]
    others = [f"{key}={text(best[key])}" for key in several if key != objective.column]
    others += [f"on {best['chip']}"] if _several(rows, "chip") else []
    others += [str(best["variant"])] if _several(rows, "variant") else []
    about = f", with {', '.join(others)}" if others else ""
    limits = f" with {', '.join(map(str, goal.constraints))}" if goal.constraints else ""
    if objective.column not in varied:
        return f"{objective}{limits}: {value}{about}" + _few(best, goal)
    bound = "up to" if objective.direction == "max" else "down to"
    said = f"{objective.column} can be {bound} {value}{limits}{about}"
    reached = [f"{each.column} is {text(best[each.column])}" for each in goal.constraints]
    said += f"; then {', '.join(reached)}" if reached else ""
    following = _next(rows, best, goal, varied)
    if following is None:
        return f"{said}; no value beyond was tried" + _few(best, goal)
    beyond = f"at {text(following[objective.column])} {_wrong(following, goal)}"
    return f"{said}; {beyond}" + _few(best, goal)


def _several(rows: Sequence[Row], name: str) -> bool:
    """Whether the rows differ in a column that they have; what went wrong lacks some."""
    return len({text(row[name]) for row in rows if row.get(name) is not None}) > 1


def _next(rows: Sequence[Row], best: Row, goal: Goal, varied: Sequence[str]) -> Row | None:
    """The row that goes one value too far, all else being the same."""
    (objective,) = goal.objectives
    same = ["chip", "variant", *(key for key in varied if key != objective.column)]
    failed = [row for row in rows if isinstance(row.get("error"), str)]
    beyond = [
        row
        for row in rows
        if all(
            row.get(key) == best.get(key) or (key == "variant" and row in failed) for key in same
        )
        and goal.loss(row, objective) < goal.loss(best, objective)
    ]
    return max(beyond, key=lambda row: goal.loss(row, objective), default=None)


def _wrong(row: Row, goal: Goal) -> str:
    if isinstance(row.get("error"), str):
        return f"there is an error: {row['error']}"
    missed = [each for each in goal.constraints if not each.holds(row)]
    return ", ".join(f"{each.column} is {text(row.get(each.column))}" for each in missed)


def _few(row: Row, goal: Goal) -> str:
    """That percentiles are of few requests, where they are."""
    return "".join(f"\n{each}" for each in dict.fromkeys(_few_of(row, goal)))


def _few_of(row: Row, goal: Goal) -> Iterator[str]:
    for name in goal.columns:
        match = _PERCENTILE.fullmatch(name)
        count = row.get(f"{match['tenant']}.finished") if match else None
        if match and count and not enough(int(count), int(match["percent"])):
            few = counted(int(count), "request")
            yield f"{name} is the longest of {few} only: a longer duration_s tells more"


def shortfalls(rows: Sequence[Row], goal: Goal) -> list[str]:
    """Why no row will do: what every constraint's column reaches, or the rows' own errors."""
    computed = [row for row in rows if not isinstance(row.get("error"), str)]
    if not computed:
        return []
    found = []
    for constraint in goal.constraints:
        if not any(constraint.holds(row) for row in computed):
            found.append(_reached(constraint, computed))
    for objective in goal.objectives:
        if all(row.get(objective.column) is None for row in computed):
            found.append(f"{objective.column} is empty in every row")
    return found or ["each constraint is met by some row, but all of them by none"]


def _reached(constraint: Constraint, rows: Sequence[Row]) -> str:
    values = [row.get(constraint.column) for row in rows]
    known = [each for each in values if each is not None]
    if not known:
        return f"{constraint.column} is empty in every row"
    if constraint.operator in (">", ">="):
        return f"{constraint.column} reaches {text(max(known))}"
    if constraint.operator in ("<", "<="):
        return f"{constraint.column} is {text(min(known))} or more"
    found = list(dict.fromkeys(map(text, known)))
    return f"{constraint.column} is {', '.join(found[:MOST])}"


def text(value: Any) -> str:
    """A cell for people."""
    if value is None:
        return "–"
    return f"{value:.6g}" if isinstance(value, float) else str(value)
