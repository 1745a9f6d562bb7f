"""The finishes of :mod:`axsim.kernels.finish`, each one loop compiled by numba."""

from __future__ import annotations

from typing import Any

import numpy as np

from axsim.kernels.array import Array
from axsim.kernels.codes_numba import limits, rounded
from axsim.kernels.finish import Finish, FromFixedPoint, Requantise
from axsim.kernels.jit import compiled, rounded_bf16, wide_vectors


def finished(finish: Finish, sums: Array, out: Array, left: int = 0) -> None:
    """See :func:`axsim.kernels.finish.finished`."""
    if isinstance(finish, Requantise):
        single = len(sums) == len(out) and sums.shape[1] == 1
        requantise(sums, *requantising(finish, single), out, left)
    else:
        to_floats(sums, *converting(finish), out, left)


def requantising(
    finish: Requantise, single: bool
) -> tuple[Array, Array, np.float32, np.float32, np.int32]:
    """What :func:`requantise` takes of a finish; ``single``: sums are of single bytes."""
    shift = finish.shift.astype(np.int32 if single else np.float64)
    return shift, finish.multiplier, *limits(finish.y)


def converting(finish: FromFixedPoint) -> tuple[Array, Array, Array, Array, bool]:
    """What :func:`to_floats` takes of a finish."""
    return finish.grid, finish.shift, finish.scale, finish.bias, finish.to_bf16


# Sums may have more columns than are to be finished.


@compiled
def requantise(
    sums: Any, shift: Any, multiplier: Any, low: Any, high: Any, zero: Any, out: Any, left: Any
) -> None:
    """:class:`~axsim.kernels.finish.Requantise` of sums over one byte or two of either side."""
    wide_vectors()
    rows, right = out.shape[0], left + shift.size
    if sums.shape[0] == rows and sums.shape[1] == 1:
        for i in range(rows):
            codes, only = out[i, left:right], sums[i, 0]
            for j in range(codes.size):
                steps = np.float32(np.int32(only[j] + shift[j])) * multiplier[j]
                codes[j] = rounded(steps, low, high, zero)
    elif sums.shape[0] == rows or sums.shape[1] == 1:
        for i in range(rows):
            codes, upper = out[i, left:right], sums[i, 0]
            lower = sums[i, 1] if sums.shape[0] == rows else sums[rows + i, 0]
            for j in range(codes.size):
                acc = 256.0 * upper[j] + lower[j] + shift[j]
                codes[j] = rounded(np.float32(acc) * multiplier[j], low, high, zero)
    else:
        for i in range(rows):
            codes, upper, lower = out[i, left:right], sums[i], sums[rows + i]
            upper_low, lower_low = upper[1], lower[1]
            for j in range(codes.size):
                first = 256.0 * upper[0, j] + lower[0, j]
                acc = 256.0 * first + (256.0 * upper_low[j] + lower_low[j]) + shift[j]
                codes[j] = rounded(np.float32(acc) * multiplier[j], low, high, zero)


@compiled
def to_floats(
    sums: Any, grid: Any, shift: Any, scale: Any, bias: Any, to_bf16: Any, out: Any, left: Any
) -> None:
    """:class:`~axsim.kernels.finish.FromFixedPoint` of sums over three bytes of the left side."""
    wide_vectors()
    rows = grid.size
    for i in range(rows):
        row = out[i, left : left + shift.size]
        high, middle, low = sums[i, 0], sums[rows + i, 0], sums[2 * rows + i, 0]
        for j in range(row.size):
            acc = 65536.0 * high[j] + 256.0 * middle[j] + low[j]
            value = np.float32(acc + shift[j]) * grid[i] * scale[j] + bias[j]
            row[j] = rounded_bf16(value) if to_bf16 else value
