"""The passes of :mod:`axsim.kernels.loops_numpy`, each one loop compiled by numba.

The same operations in the same order, without fused multiply-adds, so the same bits. Sums are of
integers. Compiled code is kept on disk between processes; no loop holds the interpreter's lock.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from axsim.kernels.array import Array
from axsim.kernels.qparams import QParams
from axsim.kernels.vectors_numba import wide_vectors

_compiled = njit(nogil=True, cache=True, error_model="numpy")


def requantise(acc: Array, correction: Array, multiplier: Array, y: QParams, out: Array) -> None:
    """See :func:`axsim.kernels.loops_numpy.requantise`."""
    loop = requantise_s32 if acc.dtype == np.int32 else _requantise_f64
    loop(acc, correction.astype(acc.dtype), multiplier, *limits(y), out, 0)


def requantise_bytes(
    parts: Array, correction: Array, multiplier: Array, y: QParams, out: Array
) -> None:
    """See :func:`axsim.kernels.loops_numpy.requantise_bytes`."""
    requantise_u16(parts, correction.astype(np.float64), multiplier, *limits(y), out, 0)


def requantise_byte_pairs(
    parts: Array, rows: Array, columns: Array, multiplier: Array, y: QParams, out: Array
) -> None:
    """See :func:`axsim.kernels.loops_numpy.requantise_byte_pairs`."""
    requantise_pairs(parts, rows, columns, multiplier, *limits(y), out, 0)


def split_bytes(codes: Array, high: Array, low: Array, sums: Array) -> None:
    """See :func:`axsim.kernels.loops_numpy.split_bytes`."""
    _split_bytes(codes, high, low, sums)


def to_fixed_point(x: Array, codes: Array, grid: Array) -> None:
    """See :func:`axsim.kernels.loops_numpy.to_fixed_point`."""
    _to_fixed_point(x, x.view(np.uint32), codes, grid, grid.view(np.uint32))


def from_fixed_point(
    parts: Array,
    grid: Array,
    shares: Array,
    scale: Array,
    bias: Array,
    y: Array,
    top: int,
    left: int,
    to_bf16: bool,
) -> None:
    """See :func:`axsim.kernels.loops_numpy.from_fixed_point`."""
    to_floats(parts, grid, shares, scale, bias, y, top, left, *rounding(to_bf16))


def softmax(codes: Array, exponentials: Array, y: QParams, out: Array) -> None:
    """See :func:`axsim.kernels.loops_numpy.softmax`."""
    row = np.empty(codes.shape[1], np.int32)
    _softmax(codes, exponentials, row, np.float32(y.scale), *limits(y), out)


def look_up(table: Array, codes: Array, out: Array) -> None:
    """See :func:`axsim.kernels.loops_numpy.look_up`."""
    _look_up(table, codes.reshape(-1), out.reshape(-1))


def layer_norm(
    codes: Array, x: QParams, scale: Array, bias: Array, epsilon: float, y: QParams, out: Array
) -> None:
    """See :func:`axsim.kernels.loops_numpy.layer_norm`."""
    step, y_scale = float(np.float32(x.scale)), np.float32(y.scale)
    _layer_norm(codes, step, scale, bias, epsilon, y_scale, *_bounds(y), out)


def add(a: Array, qa: QParams, b: Array, qb: QParams, y: QParams, out: Array) -> None:
    """See :func:`axsim.kernels.loops_numpy.add`."""
    flat = a.reshape(-1), b.reshape(-1), out.reshape(-1)
    _add(flat[0], *_real(qa), flat[1], *_real(qb), np.float32(y.scale), *_bounds(y), flat[2])


def scale_columns(a: Array, x: QParams, factor: Array, y: QParams, out: Array) -> None:
    """See :func:`axsim.kernels.loops_numpy.scale_columns`."""
    _scale_columns(a, *_real(x), factor, np.float32(y.scale), *_bounds(y), out)


def limits(y: QParams) -> tuple[np.float32, np.float32, np.int32]:
    """What rounded steps are clipped to before the zero point is added, and the zero point."""
    low, high = y.low - y.zero_point, y.high - y.zero_point
    return np.float32(low), np.float32(high), np.int32(y.zero_point)


def rounding(to_bf16: bool) -> tuple[np.uint32, np.uint32]:
    """Masks of what is added to a float32's bits and of the bits that are kept."""
    if to_bf16:
        return np.uint32(0xFFFFFFFF), np.uint32(0xFFFF0000)
    return np.uint32(0), np.uint32(0xFFFFFFFF)


def _bounds(y: QParams) -> tuple[np.float32, np.float32, np.float32]:
    """The zero point, and what codes are clipped to after it was added."""
    return np.float32(y.zero_point), np.float32(y.low), np.float32(y.high)


def _real(q: QParams) -> tuple[np.float32, np.float32]:
    return np.float32(q.zero_point), np.float32(q.scale)


# Types are numba's to infer; scalars must be of the width that is meant, since it widens sums.
# Sums may have more columns than the vectors of a product's columns, which fill ``out`` from
# column ``left`` on.


@_compiled
def requantise_s32(
    acc: Any, correction: Any, multiplier: Any, low: Any, high: Any, zero: Any, out: Any, left: Any
) -> None:
    """Of S32 sums."""
    wide_vectors()
    for i in range(acc.shape[0]):
        codes = out[i, left : left + correction.size]
        for j in range(codes.size):
            steps = np.float32(np.int32(acc[i, j] + correction[j])) * multiplier[j]
            codes[j] = np.int32(np.rint(min(max(steps, low), high))) + zero


@_compiled
def _requantise_f64(
    acc: Any, correction: Any, multiplier: Any, low: Any, high: Any, zero: Any, out: Any, left: Any
) -> None:
    wide_vectors()
    for i in range(acc.shape[0]):
        codes = out[i, left : left + correction.size]
        for j in range(codes.size):
            steps = np.float32(acc[i, j] + correction[j]) * multiplier[j]
            codes[j] = np.int32(np.rint(min(max(steps, low), high))) + zero


@_compiled
def requantise_u16(
    parts: Any,
    correction: Any,
    multiplier: Any,
    low: Any,
    high: Any,
    zero: Any,
    out: Any,
    left: Any,
) -> None:
    """Of sums over the bytes of U16 codes."""
    wide_vectors()
    rows = out.shape[0]
    for i in range(rows):
        codes, upper, lower = out[i, left : left + correction.size], parts[i], parts[rows + i]
        for j in range(codes.size):
            acc = 256.0 * upper[j] + lower[j] + correction[j]
            steps = np.float32(acc) * multiplier[j]
            codes[j] = np.int32(np.rint(min(max(steps, low), high))) + zero


@_compiled
def _split_bytes(codes: Any, high: Any, low: Any, sums: Any) -> None:
    wide_vectors()
    for i in range(codes.shape[0]):
        total = np.uint64(0)
        for j in range(codes.shape[1]):
            high[i, j] = codes[i, j] >> 8
            low[i, j] = codes[i, j] & 255
            total += codes[i, j]
        sums[i] = total


@_compiled
def requantise_pairs(
    parts: Any,
    rows: Any,
    columns: Any,
    multiplier: Any,
    low: Any,
    high: Any,
    zero: Any,
    out: Any,
    left: Any,
) -> None:
    """Of sums over the bytes of two U16 codes."""
    wide_vectors()
    height, width = out.shape[0], parts.shape[1] // 2
    for i in range(height):
        codes = out[i, left : left + columns.size]
        upper, lower = parts[i], parts[height + i]
        upper_low, lower_low = upper[width:], lower[width:]
        for j in range(codes.size):
            first = 256.0 * upper[j] + lower[j]
            second = 256.0 * upper_low[j] + lower_low[j]
            acc = 256.0 * first + second + rows[i] + columns[j]
            steps = np.float32(acc) * multiplier[j]
            codes[j] = np.int32(np.rint(min(max(steps, low), high))) + zero


@_compiled
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


@_compiled
def to_floats(
    parts: Any,
    grid: Any,
    shares: Any,
    scale: Any,
    bias: Any,
    y: Any,
    top: Any,
    left: Any,
    rounded: Any,
    kept: Any,
) -> None:
    """:func:`from_fixed_point`, with the masks of :func:`rounding`."""
    wide_vectors()
    rows = grid.size
    for i in range(rows):
        row = y[top + i, left : left + shares.size]
        for j in range(row.size):
            acc = 65536.0 * parts[i, j] + 256.0 * parts[rows + i, j] + parts[2 * rows + i, j]
            value = np.float32(acc - shares[j]) * grid[i] * scale[j] + bias[j]
            bits = np.float32(value).view(np.uint32)
            up = (((bits >> np.uint32(16)) & np.uint32(1)) + np.uint32(0x7FFF)) & rounded
            bits = np.uint32(bits + up) & kept
            row[j] = np.uint32(bits).view(np.float32)


@_compiled
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
            steps = np.float32(row[j]) * factor
            out[i, j] = np.int32(np.rint(min(max(steps, low), high))) + zero


@_compiled
def _look_up(table: Any, codes: Any, out: Any) -> None:
    for i in range(codes.size):
        out[i] = table[codes[i]]


@_compiled
def _layer_norm(
    codes: Any,
    step: Any,
    scale: Any,
    bias: Any,
    epsilon: Any,
    y_scale: Any,
    zero: Any,
    low: Any,
    high: Any,
    out: Any,
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
            steps = np.rint(value / y_scale) + zero
            out[i, j] = np.int32(min(max(steps, low), high))


@_compiled
def _add(
    a: Any,
    a_zero: Any,
    a_scale: Any,
    b: Any,
    b_zero: Any,
    b_scale: Any,
    y_scale: Any,
    zero: Any,
    low: Any,
    high: Any,
    out: Any,
) -> None:
    wide_vectors()
    for i in range(a.size):
        left = (np.float32(a[i]) - a_zero) * a_scale
        right = (np.float32(b[i]) - b_zero) * b_scale
        steps = np.rint((left + right) / y_scale) + zero
        out[i] = np.int32(min(max(steps, low), high))


@_compiled
def _scale_columns(
    a: Any,
    a_zero: Any,
    a_scale: Any,
    factor: Any,
    y_scale: Any,
    zero: Any,
    low: Any,
    high: Any,
    out: Any,
) -> None:
    wide_vectors()
    for i in range(a.shape[0]):
        for j in range(a.shape[1]):
            value = (np.float32(a[i, j]) - a_zero) * a_scale * factor[j]
            steps = np.rint(value / y_scale) + zero
            out[i, j] = np.int32(min(max(steps, low), high))
