"""The finishes of :mod:`axsim.kernels.finish`, each one loop compiled by numba."""

from __future__ import annotations

from typing import Any

import numpy as np

from axsim.kernels.array import Array
from axsim.kernels.codes_numba import limits, rounded
from axsim.kernels.finish import FromFixedPoint, Requantise
from axsim.kernels.jit import compiled, inlined, rounded_bf16, wide_vectors


def finished(finish: Requantise | FromFixedPoint, sums: Array, out: Array, left: int = 0) -> None:
    """See :func:`axsim.kernels.finish.finished`."""
    if isinstance(finish, Requantise):
        single = len(sums) == len(out) and sums.shape[1] == 1
        requantise(sums, *requantising(finish, single), out, left)
    else:
        to_floats(sums, *converting(finish), out, left)


def requantising(finish: Requantise, single: bool) -> tuple[Any, ...]:
    """What :func:`requantise` takes of a finish; ``single``: sums are of single bytes."""
    shift = finish.shift.astype(np.int32 if single else np.float64)
    return shift, finish.multiplier, *limits(finish.y)


def converting(finish: FromFixedPoint) -> tuple[Any, ...]:
    """What :func:`to_floats` takes of a finish."""
    return finish.grid, finish.shift, finish.scale, finish.bias, finish.to_bf16


# Sums may have more columns than are to be finished.


@compiled
def requantise(
    sums: Any, shift: Any, multiplier: Any, low: Any, high: Any, zero: Any, out: Any, left: Any
) -> None:
    """:class:`~axsim.kernels.finish.Requantise`, with limits that the zero point was taken from."""
    wide_vectors()
    rows = out.shape[0]
    total = np.empty(shift.size)
    for i in range(rows):
        codes = out[i, left : left + shift.size]
        if sums.shape[0] == rows and sums.shape[1] == 1:
            only = sums[i, 0]
            for j in range(codes.size):
                steps = np.float32(np.int32(only[j] + shift[j])) * multiplier[j]
                codes[j] = rounded(steps, low, high, zero)
        else:
            _add_up(sums, rows, i, total)
            for j in range(codes.size):
                steps = np.float32(total[j] + shift[j]) * multiplier[j]
                codes[j] = rounded(steps, low, high, zero)


@compiled
def to_floats(
    sums: Any, grid: Any, shift: Any, scale: Any, bias: Any, to_bf16: Any, out: Any, left: Any
) -> None:
    """:class:`~axsim.kernels.finish.FromFixedPoint`."""
    wide_vectors()
    total = np.empty(shift.size)
    for i in range(grid.size):
        row = out[i, left : left + shift.size]
        _add_up(sums, grid.size, i, total)
        for j in range(row.size):
            row[j] = np.float32(total[j] + shift[j]) * grid[i] * scale[j] + bias[j]
        if to_bf16:
            for j in range(row.size):
                row[j] = rounded_bf16(row[j])


@inlined
def _add_up(sums: Any, rows: Any, i: Any, total: Any) -> None:
    """:func:`axsim.kernels.finish.whole` of row ``i`` of ``rows``."""
    for j in range(total.size):
        total[j] = 0.0
    planes, bytes_right = sums.shape[0] // rows, sums.shape[1]
    for p in range(planes):
        for q in range(bytes_right):
            part, weight = sums[p * rows + i, q], 256.0 ** (planes - p + bytes_right - q - 2)
            for j in range(total.size):
                total[j] += weight * part[j]
