"""Matrix products with the elementwise operators that follow them applied while they are warm."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from axsim.graph.array import Array
from axsim.graph.kernels.parallel import in_row_blocks

Stage = Callable[[Array, slice], None]
"""Changes a block of rows in place; the slice says which rows of the whole they are."""


def finish(y: Array, stages: Sequence[Stage]) -> Array:
    """Apply ``stages`` one after the other to each block of rows of ``y`` [rows, width]."""

    def block(rows: slice) -> None:
        part = y[rows]
        for stage in stages:
            stage(part, rows)

    if stages:
        in_row_blocks(block, *y.shape)
    return y


def added(other: Array) -> Stage:
    """Adds ``other``: [rows, width], or one row or scalar for all."""

    def stage(part: Array, rows: slice) -> None:
        part += _rows(other, rows)

    return stage


def multiplied(other: Array) -> Stage:
    """Multiplies by ``other``: [rows, width], or one row or scalar for all."""

    def stage(part: Array, rows: slice) -> None:
        part *= _rows(other, rows)

    return stage


def mapped(function: Callable[..., Array]) -> Stage:
    """Applies ``function(x, out=...)``."""

    def stage(part: Array, rows: slice) -> None:
        function(part, out=part)

    return stage


def _rows(other: Array, rows: slice) -> Array:
    several = np.ndim(other) == 2 and len(other) > 1
    block: Array = other[rows] if several else other
    return block
