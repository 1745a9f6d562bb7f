"""Float32 functions as single loops, compiled by numba: exponentials, GELU, SiLU, LayerNorm.

Their definitions in numpy, beside this file, give the same up to rounding.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from axsim.kernels.array import Array
from axsim.kernels.jit import contracted, inlined, reordered, wide_vectors

_LOG2_E = np.float32(1.4426950408889634)
_LN2_HIGH = np.float32(0.693145751953125)  # ln 2 in 16 bits, so that multiples of it are exact
_LN2_LOW = np.float32(0.6931471805599453 - 0.693145751953125)
_LOWEST, _HIGHEST = np.float32(-87.0), np.float32(88.8)  # of which exp is 2e-38 and infinite
_TAYLOR = tuple(np.float32(1 / d) for d in (5040, 720, 120, 24, 6, 2))


def gate_block(y: Array, rows: slice, columns: slice, gate: tuple[float, ...]) -> None:
    """See :func:`axsim.kernels.gates.gate_block`."""
    ends = rows.start, rows.stop, columns.start, columns.stop
    gated_rows(y, *ends, tuple(np.float32(-c) for c in gate))


def exponentials(scores: Array, shift: bool = True) -> Array:
    """See :func:`axsim.kernels.rowwise.exponentials`."""
    totals = np.empty(len(scores), np.float32)
    _exponentials(scores, totals, shift)
    return totals


def layer_norm_rows(
    x: Array, scale: Array, bias: Array, epsilon: float, y: Array, mean: Array, inverse: Array
) -> None:
    """See :func:`axsim.kernels.rowwise.layer_norm_rows`."""
    _layer_norm(x, scale, bias, np.float32(epsilon), y, mean, inverse)


@inlined
def exp(x: Any) -> Any:
    """exp(x) for x in [-87, 88.8], to about 1e-7: 2^n exp(r) with r within half of ln 2."""
    n = np.rint(x * _LOG2_E)
    r = (x - n * _LN2_HIGH) - n * _LN2_LOW
    p = _TAYLOR[0] * r + _TAYLOR[1]
    p = p * r + _TAYLOR[2]
    p = p * r + _TAYLOR[3]
    p = p * r + _TAYLOR[4]
    p = p * r + _TAYLOR[5]
    p = p * r * r + r + np.float32(1)
    return p * np.int32((np.int32(n) + np.int32(127)) << np.int32(23)).view(np.float32)


@inlined
def bounded(x: Any) -> Any:
    """``x`` within what :func:`exp` takes; not a number stays so."""
    x = _LOWEST if x < _LOWEST else x
    return _HIGHEST if x > _HIGHEST else x


@contracted
def gated_rows(y: Any, top: Any, bottom: Any, left: Any, right: Any, gate: Any) -> None:
    """:func:`gate_block`, with ends for slices and the negated coefficients."""
    wide_vectors()
    last = len(gate) - 1
    for i in range(top, bottom):
        row = y[i]
        # Unsigned, because an index that might be negative keeps the loop from being vectorised.
        for j in range(np.uint64(left), np.uint64(right)):
            value = row[j]
            square = value * value
            p = gate[last]
            for n in range(last - 1, -1, -1):
                p = p * square + gate[n]
            row[j] = value / (np.float32(1) + exp(bounded(p * value)))


@contracted
def _exponentials(scores: Any, totals: Any, shift: Any) -> None:
    for i in range(scores.shape[0]):
        totals[i] = exponentials_of(scores[i], shift)


@contracted
def exponentials_of(row: Any, shift: Any) -> Any:
    """:func:`exponentials` of one row, whose sum is returned."""
    wide_vectors()
    largest = largest_of(row) if shift else np.float32(0)
    for j in range(row.size):
        row[j] = exp(bounded(row[j] - largest))
    return total_of(row)


@contracted
def largest_of(row: Any) -> Any:
    """The largest number of a contiguous float32 row without NaNs.

    Compared as integers that are in the same order, which vector instructions do at once.
    """
    wide_vectors()
    bits = row.view(np.int32)
    largest = np.int32(-(2**31))
    for j in range(bits.size):
        largest = max(largest, np.int32(bits[j] ^ ((bits[j] >> 31) & np.int32(0x7FFFFFFF))))
    return np.int32(largest ^ ((largest >> 31) & np.int32(0x7FFFFFFF))).view(np.float32)


@reordered
def total_of(row: Any) -> Any:
    """The sum of a float32 row."""
    wide_vectors()
    total = np.float32(0)
    for j in range(row.size):
        total += row[j]
    return total


@reordered
def _layer_norm(
    x: Any, scale: Any, bias: Any, epsilon: Any, y: Any, mean: Any, inverse: Any
) -> None:
    wide_vectors()
    width = np.float32(x.shape[1])
    for i in range(x.shape[0]):
        total = np.float32(0)
        for j in range(x.shape[1]):
            total += x[i, j]
        centre = total / width
        squares = np.float32(0)
        for j in range(x.shape[1]):
            d = x[i, j] - centre
            squares += d * d
        factor = np.float32(1) / np.sqrt(squares / width + epsilon)
        for j in range(x.shape[1]):
            y[i, j] = (x[i, j] - centre) * factor * scale[j] + bias[j]
        mean[i], inverse[i] = centre, factor
