"""What a search is for: objectives, constraints, and the rows of a table that lead."""

from __future__ import annotations

from typing import Literal

from axsim.errors import InputError, Problem

Direction = Literal["min", "max"]

LESS = ("_ms", "_us", "_bytes", "_chunks", "_error")
"""Ends of the names of columns of which less is better."""
MORE = ("_per_s", "cosine")
"""Ends of the names of columns of which more is better."""


def direction_of(column: str) -> Direction:
    """Whether less or more of a column is better, from its name.

    Raises:
        InputError: the name does not tell.
    """
    base = column
    for end in ("_low", "_high", "_measured"):
        base = base.removesuffix(end)
    if base.endswith(LESS):
        return "min"
    if base.endswith(MORE):
        return "max"
    what = "the name does not say whether less or more is better"
    raise InputError(Problem("", column, what, f"min:{column} or max:{column}"))
