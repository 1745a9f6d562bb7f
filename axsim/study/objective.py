"""What a sweep is for: objectives, constraints, and the rows that lead.

An objective is a column of the table, ``min:`` or ``max:`` before it where its name does not tell
which way is better. A constraint is a column, an operator and a value: ``cosine>=0.99``.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import isnan
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from axsim.errors import InputError, Problem
from axsim.runs.shared_energy import CHIP_COLUMNS, TENANT_COLUMNS
from axsim.spec.located import scalar
from axsim.study.pareto import non_dominated, objective_values, unknown_column
from axsim.system.metrics import METRICS

if TYPE_CHECKING:
    import pandas as pd

Row = Mapping[str, Any]
R = TypeVar("R", bound=Row)
Direction = Literal["min", "max"]

LESS = ("_ms", "_us", "_mj", "_j", "_bytes", "perplexity", "kl_divergence")
"""Ends of the names of columns, no metrics, of which less is better."""
MORE = ("cosine", "top1_agreement")
"""Ends of the names of columns, no metrics, of which more is better."""
OF_TEXT = ("perplexity", "kl_divergence", "top1_agreement", "judged_tokens")
"""Ends of the names of columns that a checkpoint has alone."""
NUMERIC = ("cosine", "generated_tokens", *OF_TEXT)
"""Ends of the names of columns that only the kernels fill."""

_OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    "==": operator.eq,
    "!=": operator.ne,
    ">": operator.gt,
    "<": operator.lt,
}
_CONSTRAINT = re.compile(r"\s*(?P<column>[^\s<>=!]+)\s*(?P<operator>[<>=!]+)\s*(?P<value>.*?)\s*")


@dataclass(frozen=True)
class Objective:
    """A column to make small (``min``) or large (``max``)."""

    column: str
    direction: Direction

    def __str__(self) -> str:
        return f"{'least' if self.direction == 'min' else 'most'} {self.column}"


@dataclass(frozen=True)
class Constraint:
    """What a column of a row must be for the row to count."""

    column: str
    operator: str
    value: float | str | bool

    def __str__(self) -> str:
        value = f"{self.value:g}" if isinstance(self.value, float) else self.value
        return f"{self.column} {self.operator} {value}"

    def holds(self, row: Row) -> bool:
        """Whether the row meets it; what has no value meets nothing."""
        found = row.get(self.column)
        if _missing(found):
            return False
        if _number(found) != _number(self.value):
            return self.operator == "!="
        return _OPERATORS[self.operator](found, self.value)

    def violation(self, row: Row) -> float:
        """How far a row is from meeting it, as a fraction of the value (a millionth at least, a
        hundred thousand at most); 0 when it does."""
        if self.holds(row):
            return 0.0
        found: Any = row.get(self.column)
        if _missing(found) or not _number(found) or not _number(self.value):
            return 1.0
        missing = abs(float(found) - float(self.value)) / max(abs(float(self.value)), 1e-9)
        return min(max(missing, 1e-6), 1e5)


@dataclass(frozen=True)
class Goal:
    """Objectives, the most important first, and constraints."""

    objectives: tuple[Objective, ...]
    constraints: tuple[Constraint, ...] = ()

    @classmethod
    def parse(cls, objectives: str | Sequence[str], constraints: str | Sequence[str] = ()) -> Goal:
        """From texts as the command line has them.

        Raises:
            InputError: a text is no objective or constraint; there is no objective.
        """
        goals = [objectives] if isinstance(objectives, str) else list(objectives)
        limits = [constraints] if isinstance(constraints, str) else list(constraints)
        if not goals:
            what = "a constraint needs an objective beside it"
            raise InputError(Problem("--objective", "", what, "a column, such as ttft_ms"))
        return cls(tuple(map(parse_objective, goals)), tuple(map(parse_constraint, limits)))

    @property
    def columns(self) -> list[str]:
        """The columns that it looks at."""
        found = dict.fromkeys(each.column for each in self.objectives)
        return list(found | dict.fromkeys(each.column for each in self.constraints))

    def check(
        self, columns: Collection[str], timing_only: bool = False, trained: bool = True
    ) -> None:
        """Find out before a long run that the table will not have what is asked for.

        Raises:
            InputError: a column does not exist, or only the kernels fill it, or only those on
                weights that were ``trained``.
        """
        for name in self.columns:
            if name not in columns and (needed := needs_block(name)):
                what = f"needs chip.{needed}, which no chip here has"
                raise InputError(Problem("", name, what))
            if name not in columns:
                raise unknown_column(name, list(columns))
            if timing_only and name.endswith(NUMERIC):
                what = "needs the kernels, which --timing-only leaves out"
                raise InputError(Problem("", name, what))
            if not trained and name.endswith(OF_TEXT):
                what = "needs a model that was trained: --checkpoint DIR"
                raise InputError(Problem("", name, what))

    def feasible(self, rows: Iterable[R]) -> list[R]:
        """The rows without an error that meet every constraint and have every objective."""
        return [
            row
            for row in rows
            if not isinstance(row.get("error"), str)
            and all(constraint.holds(row) for constraint in self.constraints)
            and not any(_missing(row.get(each.column)) for each in self.objectives)
        ]

    def leaders(self, rows: Iterable[R]) -> list[R]:
        """The feasible rows, best first; with several objectives those that no other row beats,
        best in the first objective first.

        Raises:
            InputError: an objective has values that are no numbers.
        """
        left = self.feasible(rows)
        if not left:
            return []
        least = [each.column for each in self.objectives if each.direction == "min"]
        most = [each.column for each in self.objectives if each.direction == "max"]
        table = {name: [row.get(name) for row in left] for name in self.columns}
        values = objective_values(table, least, most)
        if len(self.objectives) > 1:
            front = non_dominated(values)
            left = [row for row, keep in zip(left, front, strict=True) if keep]
        return sorted(left, key=lambda row: [self.loss(row, each) for each in self.objectives])

    @staticmethod
    def loss(row: Row, objective: Objective) -> float:
        """The objective's value, the smaller the better."""
        value = float(row[objective.column])
        return value if objective.direction == "min" else -value

    def __str__(self) -> str:
        goals = " and ".join(map(str, self.objectives))
        return (
            f"{goals} with {', '.join(map(str, self.constraints))}" if self.constraints else goals
        )


def needs_block(column: str) -> str:
    """The block of a chip's file without which there is no such column; empty for others."""
    if column in METRICS:
        return METRICS[column].needs
    tenant, dot, name = column.rpartition(".")
    of_scenario = name in (CHIP_COLUMNS if tenant == "energy" else TENANT_COLUMNS)
    return "power" if dot and of_scenario else ""


def best(
    frame: pd.DataFrame, objective: str | Sequence[str], constraint: str | Sequence[str] = ()
) -> pd.DataFrame:
    """The rows of a sweep that meet every constraint, best first; with several objectives those
    that no other row beats (:func:`axsim.study.pareto.pareto`).

    ``objective`` is a column, ``min:`` or ``max:`` before it where the name does not tell which is
    better; ``constraint`` such as ``"cosine>=0.99"``. Empty when no row meets the constraints.

    >>> axsim.best(frame, "image_to_first_token_ms", ["cosine>=0.99", "chip==ax630c"]).head()

    Raises:
        InputError: a text is no objective or constraint, or a column does not exist or has no
            numbers.
    """
    goal = Goal.parse(objective, constraint)
    goal.check(list(frame.columns))
    names = [*goal.columns, *(["error"] if "error" in frame.columns else [])]
    rows = [{**row, "": place} for place, row in enumerate(frame[names].to_dict("records"))]
    return frame.iloc[[row[""] for row in goal.leaders(rows)]]


def parse_objective(text: str) -> Objective:
    """``[min:|max:]COLUMN``.

    Raises:
        InputError: neither the text nor the column's name says which way is better.
    """
    way, colon, column = text.partition(":")
    if not colon:
        return Objective(text.strip(), direction_of(text.strip()))
    if way.strip() not in ("min", "max") or not column.strip():
        where = f"--objective {text}"
        raise InputError(Problem(where, "", "is no objective", "[min:|max:]COLUMN"))
    return Objective(column.strip(), "min" if way.strip() == "min" else "max")


def parse_constraint(text: str) -> Constraint:
    """``COLUMN OPERATOR VALUE``, with an operator of ``>= <= == != > <``.

    Raises:
        InputError: it is none, or asks whether text is larger or smaller.
    """
    where = f"--constraint {text}"
    match = _CONSTRAINT.fullmatch(text)
    if match is None or match["operator"] not in _OPERATORS or not match["value"]:
        allowed = f"COLUMN OPERATOR VALUE with one of {' '.join(_OPERATORS)}"
        raise InputError(Problem(where, "", "is no constraint", allowed))
    value = scalar(match["value"])
    if isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if not isinstance(value, float | str | bool):
        raise InputError(Problem(where, match["column"], "compares with a list or mapping"))
    if match["operator"] not in ("==", "!=") and not _number(value):
        what = f"{match['value']!r} is no number"
        raise InputError(Problem(where, match["column"], what, "numbers with >= <= > <"))
    return Constraint(match["column"], match["operator"], value)


def direction_of(column: str) -> Direction:
    """Whether less or more of a column is better, from its name.

    Raises:
        InputError: the name does not tell.
    """
    base = column
    for end in ("_low", "_high", "_measured"):
        base = base.removesuffix(end)
    if base in METRICS:
        return "min" if METRICS[base].better == "less" else "max"
    if base.endswith(LESS):
        return "min"
    if base.endswith(MORE):
        return "max"
    what = "the name does not say whether less or more is better"
    raise InputError(Problem("", column, what, f"min:{column} or max:{column}"))


def _missing(value: Any) -> bool:
    return value is None or (isinstance(value, float) and isnan(value))


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
