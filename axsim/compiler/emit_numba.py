"""The emission of tasks, compiled by numba from the source of :mod:`axsim.compiler.emit`."""

from __future__ import annotations

from types import FunctionType
from typing import Any

import numpy as np
from numba import njit

from axsim.compiler import emit as plain
from axsim.compiler.emit import Columns, Engines, Steps


@njit(inline="always")
def _column(values: Any) -> Any:
    return np.array(values)


_emit = njit(nogil=True, cache=True)(
    FunctionType(plain.emit.__code__, {**vars(plain), "column": _column})
)


def emit(engines: Engines, steps: Steps, preloaded: float, following: float) -> Columns:
    """See :func:`axsim.compiler.emit.emit`; columns are arrays."""
    units = Engines._make([*engines[:2], *map(np.array, engines[2:])])
    makers = np.array(steps.maker, np.intp), np.array(steps.banded, np.bool_)
    facts = Steps._make([*map(np.array, steps[:-2]), *makers])
    columns: Columns = _emit(units, facts, preloaded, following)
    return columns
