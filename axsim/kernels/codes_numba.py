"""The passes of :mod:`axsim.kernels.codes`, each one loop compiled by numba.

The same operations in the same order, without fused multiply-adds, so the same bits. Sums are of
integers.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from axsim.kernels.array import Array
from axsim.kernels.finish import Sum
from axsim.kernels.jit import compiled, inlined, wide_vectors
from axsim.kernels.qparams import QParams


def to_fixed_point(x: Array, codes: Array, grid: Array) -> None:
    """See :func:`axsim.kernels.codes.to_fixed_point`."""
    _to_fixed_point(x, x.view(np.uint32), codes, grid, grid.view(np.uint32))


def softmax(codes: Array, exponentials: Array, y: QParams, out: Array) -> None:
    """See :func:`axsim.kernels.codes.softmax`."""
    row = np.empty(codes.shape[1], np.int32)
    _softmax(codes, exponentials, row, np.float32(y.scale), *limits(y), out)


def look_up(table: Array, codes: Array, out: Array) -> None:
    """See :func:`axsim.kernels.codes.look_up`."""
    _look_up(table, codes.reshape(-1), out.reshape(-1))


def layer_norm(
    codes: Array, x: QParams, scale: Array, bias: Array, epsilon: float, y: QParams, out: Array
) -> None:
    """See :func:`axsim.kernels.codes.layer_norm`."""
    _layer_norm(codes, float(np.float32(x.scale)), scale, bias, epsilon, _target(y), out)


def add(a: Array, qa: QParams, b: Array, qb: QParams, y: QParams, out: Array) -> None:
    """See :func:`axsim.kernels.codes.add`."""
    add_codes(*adding(a, qa, b, qb, y, out))


def adding(a: Array, qa: QParams, b: Array, qb: QParams, y: QParams, out: Array) -> tuple[Any, ...]:
    """What loops take of a sum."""
    flat = a.reshape(-1), _source(qa), b.reshape(-1), _source(qb), _target(y), out.reshape(-1)
    return flat


def summing(then: Sum | None) -> tuple[tuple[np.float32, ...], ...]:
    """What loops take of the parameters of a sum; anything where there is none."""
    nothing = QParams(1.0, 0, "u8")
    own, other, y = (nothing,) * 3 if then is None else (then.own, then.other, then.y)
    return _source(own), _source(other), _target(y)


def scale_columns(a: Array, x: QParams, factor: Array, y: QParams, out: Array) -> None:
    """See :func:`axsim.kernels.codes.scale_columns`."""
    _scale_columns(a, _source(x), factor, _target(y), out)


def limits(y: QParams) -> tuple[np.float32, np.float32, np.int32]:
    """What rounded steps are clipped to before the zero point is added, and the zero point."""
    low, high = y.low - y.zero_point, y.high - y.zero_point
    return np.float32(low), np.float32(high), np.int32(y.zero_point)


def _source(q: QParams) -> tuple[np.float32, np.float32]:
    return np.float32(q.zero_point), np.float32(q.scale)


def _target(y: QParams) -> tuple[np.float32, ...]:
    return np.float32(y.scale), np.float32(y.zero_point), np.float32(y.low), np.float32(y.high)


@inlined
def rounded(steps: Any, low: Any, high: Any, zero: Any) -> Any:
    """The code of a number of steps, with the :func:`limits` of its parameters."""
    return np.int32(np.rint(min(max(steps, low), high))) + zero


@inlined
def _real(code: Any, q: Any) -> Any:
    return (np.float32(code) - q[0]) * q[1]


@inlined
def _quantised(value: Any, y: Any) -> Any:
    return np.int32(min(max(np.rint(value / y[0]) + y[1], y[2]), y[3]))


@compiled
def split_bytes(codes: Any, high: Any, low: Any) -> None:
    """See :func:`axsim.kernels.codes.split_bytes`."""
    wide_vectors()
    for i in range(codes.shape[0]):
        for j in range(codes.shape[1]):
            high[i, j] = codes[i, j] >> 8
            low[i, j] = codes[i, j] & 255


@compiled
def _to_fixed_point(x: Any, bits: Any, codes: Any, grid: Any, grid_bits: Any) -> None:
    wide_vectors()
    rows, width = x.shape
    for i in range(rows):
        largest = np.uint32(0)
        for j in range(width):
            largest = max(largest, bits[i, j] & np.uint32(0x7FFFFFFF))
        exponent = largest >> np.uint32(23)
        grid_bits[i] = np.uint32(max(exponent, np.uint32(27)) - np.uint32(22)) << np.uint32(23)
        inverse = np.float32(1) / grid[i]
        if exponent == 255:
            grid[i] = np.nan
            inverse = np.float32(0)
        for j in range(width):
            steps = min(np.rint(x[i, j] * inverse), np.float32(2**23 - 1))
            whole = np.int32(np.int32(steps) + np.int32(2**23))
            codes[i, j] = whole >> 16
            codes[rows + i, j] = (whole >> 8) & 255
            codes[2 * rows + i, j] = whole & 255


@compiled
def _softmax(
    codes: Any, exponentials: Any, row: Any, scale: Any, low: Any, high: Any, zero: Any, out: Any
) -> None:
    wide_vectors()
    # One short loop for each step: so they become vector instructions, and a row stays in cache.
    keys = codes.shape[1]
    for i in range(codes.shape[0]):
        largest = codes[i, 0]
        for j in range(keys):
            largest = max(largest, codes[i, j])
        for j in range(keys):
            row[j] = exponentials[np.uint16(largest - codes[i, j])]
        total = np.int64(0)
        for j in range(keys):
            total += row[j]
        factor = np.float32(1) / (np.float32(total) * scale)
        for j in range(keys):
            out[i, j] = rounded(np.float32(row[j]) * factor, low, high, zero)


@compiled
def _look_up(table: Any, codes: Any, out: Any) -> None:
    for i in range(codes.size):
        out[i] = table[codes[i]]


@compiled
def _layer_norm(
    codes: Any, step: Any, scale: Any, bias: Any, epsilon: Any, y: Any, out: Any
) -> None:
    wide_vectors()
    width = codes.shape[1]
    for i in range(codes.shape[0]):
        total = np.int64(0)
        squares = np.int64(0)
        for j in range(width):
            code = np.int64(codes[i, j])
            total += code
            squares += code * code
        variance = np.float64(width * squares - total * total) / np.float64(width * width)
        inverse = np.float32(step / np.sqrt(variance * (step * step) + epsilon))
        mean = np.float32(np.float64(total) / width)
        for j in range(width):
            value = (np.float32(codes[i, j]) - mean) * inverse * scale[j] + bias[j]
            out[i, j] = _quantised(value, y)


@compiled
def add_codes(a: Any, qa: Any, b: Any, qb: Any, y: Any, out: Any) -> None:
    """:func:`add` of flat arrays, with zero points, scales and limits as float32 numbers."""
    wide_vectors()
    for i in range(a.size):
        out[i] = _quantised(_real(a[i], qa) + _real(b[i], qb), y)


@compiled
def add_to(codes: Any, own: Any, other: Any, unit: Any, y: Any) -> None:
    """:func:`add_codes` to ``codes`` themselves: arrays that are one another keep loops from
    becoming vector instructions."""
    wide_vectors()
    for i in range(codes.size):
        codes[i] = _quantised(_real(codes[i], own) + _real(other[i], unit), y)


@compiled
def _scale_columns(a: Any, x: Any, factor: Any, y: Any, out: Any) -> None:
    wide_vectors()
    for i in range(a.shape[0]):
        for j in range(a.shape[1]):
            out[i, j] = _quantised(_real(a[i, j], x) * factor[j], y)
