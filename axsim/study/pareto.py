"""The rows of a table that no other row beats."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from axsim.errors import InputError, Problem
from axsim.spec.diagnosis import nearest

if TYPE_CHECKING:
    import pandas as pd

Values = np.ndarray[Any, np.dtype[np.float64]]


def pareto(
    frame: pd.DataFrame,
    minimise: str | Sequence[str] = (),
    maximise: str | Sequence[str] = (),
) -> pd.DataFrame:
    """The rows of ``frame`` that are not dominated, in their order and with their index.

    A row dominates another when it is at least as good in every column of ``minimise`` (smaller)
    and ``maximise`` (larger), and better in one. So equal rows are kept together. Rows with an
    ``error``, and those without a number in one of the columns, neither stay nor dominate.

    >>> frame = axsim.sweep("internvl2_1b", "ax630c", {"build.vision_dtype": ["u8", "u16"]})
    >>> axsim.pareto(frame, minimise=["image_to_first_token_ms"], maximise=["cosine"])

    Raises:
        InputError: no column is given, or one does not exist, is named twice or has no numbers.
    """
    less, more = _names(minimise), _names(maximise)
    values = objective_values(frame.to_dict("list"), less, more)
    return frame[non_dominated(values)]


def objective_values(
    columns: Mapping[Any, Sequence[Any]], minimise: Sequence[str], maximise: Sequence[str]
) -> Values:
    """One row for each row of the table and one column for each objective, the smaller the better;
    NaN in rows that have an error or lack a number.

    Raises:
        InputError: as :func:`pareto`.
    """
    names = [*minimise, *maximise]
    if not names:
        raise InputError("a Pareto front needs a column to minimise or maximise")
    for name in names:
        if name not in columns:
            raise unknown_column(name, columns)
        if names.count(name) > 1:
            raise InputError(Problem("", name, "is named twice as an objective"))
    table = np.stack([_numbers(name, columns[name]) for name in names], axis=1)
    table[:, len(minimise) :] *= -1
    for row, error in enumerate(columns.get("error", ())):
        if isinstance(error, str):  # a table read from a file has NaN where there is none
            table[row] = np.nan
    return table


def non_dominated(values: Values) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Which rows of ``values`` [rows, objectives], the smaller the better, no other row dominates;
    False for rows with NaN."""
    found = np.zeros(len(values), dtype=bool)
    usable = np.flatnonzero(~np.isnan(values).any(axis=1))
    # In lexicographic order a row can only be dominated by one before it.
    order = usable[np.lexsort(values[usable].T[::-1])]
    front = np.empty((0, values.shape[1]))
    for index in order:
        row = values[index]
        better = (front <= row).all(axis=1) & (front < row).any(axis=1)
        if not better.any():
            found[index] = True
            front = np.vstack([front, row])
    return found


def unknown_column(name: str, columns: Mapping[Any, object] | Sequence[str]) -> InputError:
    """The complaint about a column that is not there."""
    names = [str(each) for each in columns]
    close = nearest(name, names)
    allowed = "" if close else ", ".join(names)
    return InputError(Problem("", name, "there is no such column", allowed, close))


def _names(given: str | Sequence[str]) -> list[str]:
    return [given] if isinstance(given, str) else list(given)


def _numbers(name: str, column: Sequence[Any]) -> Values:
    try:
        return np.array([np.nan if each is None else float(each) for each in column])
    except (TypeError, ValueError):
        raise InputError(Problem("", name, "has values that are no numbers")) from None
