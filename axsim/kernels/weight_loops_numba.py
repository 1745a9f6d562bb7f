"""Loops of the weight-only arithmetic, compiled by numba.

:func:`round_bf16` gives the bits of :func:`axsim.kernels.arithmetic.round_bf16`. Sums of
:func:`dots` run in an order of the compiler's choice, which the arithmetic leaves open.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from axsim.kernels.array import Array
from axsim.kernels.float_loops_numba import bounded, exp, largest_of, total_of
from axsim.kernels.vectors_numba import wide_vectors

_compiled = njit(nogil=True, cache=True, error_model="numpy")
_reordered = njit(
    nogil=True, cache=True, error_model="numpy", fastmath={"reassoc", "contract", "nsz"}
)

_inlined = njit(nogil=True, error_model="numpy", inline="always")


def round_bf16(x: Array) -> Array:
    """``x`` (float32) rounded half to even to bf16 values, in place.

    Raises ValueError unless ``x`` is contiguous.
    """
    if not x.flags.c_contiguous:
        raise ValueError("round_bf16 in place needs a contiguous array")
    _round_bf16(x.reshape(-1).view(np.uint32))
    return x


def add(a: Array, b: Array, y: Array) -> None:
    """``a + b`` rounded; all C-contiguous float32 of one shape, as below."""
    _add(a.reshape(-1), b.reshape(-1), y.reshape(-1))


def multiply(a: Array, b: Array, y: Array) -> None:
    """``a * b`` rounded."""
    _multiply(a.reshape(-1), b.reshape(-1), y.reshape(-1))


def look_up(table: Array, x: Array, y: Array) -> None:
    """A function of bf16 numbers ``x``; ``table`` has its values by their bit patterns [65536]."""
    _look_up(table, x.reshape(-1).view(np.uint32), y.reshape(-1))


def look_up_times(table: Array, x: Array, other: Array, y: Array) -> None:
    """:func:`look_up` of ``x``, times ``other``, rounded."""
    _look_up_times(table, x.reshape(-1).view(np.uint32), other.reshape(-1), y.reshape(-1))


def rms_norm(x: Array, scale: Array, epsilon: float, y: Array) -> None:
    """Rows [T, width] over their root mean square, times ``scale`` [width], rounded."""
    _rms_norm(x, scale, np.float32(epsilon), y)


def rotate(x: Array, cos: Array, sin: Array, y: Array) -> None:
    """Channels j and j + half of heads [T, heads, width] turned by angles [T, half], rounded."""
    _rotate(x, cos, sin, y)


def probabilities(scores: Array, scale: float, mask: Array, smallest: float) -> None:
    """Softmax over keys of ``scores * scale + mask``, rounded; C-contiguous [..., T, keys] in
    place. ``mask`` [T, keys]. Exponentials below ``smallest`` become 0."""
    rows = scores.reshape(-1, scores.shape[-1])
    _probabilities(rows, np.float32(scale), mask, len(mask), np.float32(smallest))


def dots(x: Array, w: Any, rows: slice, out: Array) -> None:
    """``x @ w.T`` for some rows of a :class:`~axsim.numerics.matrix.Matrix`; ``x`` [T, in] float32,
    ``out`` [T, rows].

    S8 sums are still to be multiplied by its ``row_scale``. Every stored code is read once, as it
    is stored: on few rows of ``x`` that is what takes the time.
    """
    codes = w.codes[rows]
    if w.dtype == "s4":
        assert w.scale is not None
        _dots_by_group(x, codes, w.scale[rows], w.group, out)
    elif w.dtype == "bf16":
        _dots_bf16(x, codes, out)
    else:
        _dots(x, codes, out)


@_compiled
def _round_bf16(bits: Any) -> None:
    wide_vectors()
    for i in range(bits.size):
        odd = (bits[i] >> np.uint32(16)) & np.uint32(1)
        bits[i] = (bits[i] + odd + np.uint32(0x7FFF)) & np.uint32(0xFFFF0000)


@_inlined
def _bf16(value: Any) -> Any:
    bits = np.float32(value).view(np.uint32)
    odd = (bits >> np.uint32(16)) & np.uint32(1)
    up = np.uint32(bits + odd + np.uint32(0x7FFF)) & np.uint32(0xFFFF0000)
    return np.uint32(up).view(np.float32)


@_compiled
def _add(a: Any, b: Any, y: Any) -> None:
    wide_vectors()
    for i in range(a.size):
        y[i] = _bf16(a[i] + b[i])


@_compiled
def _multiply(a: Any, b: Any, y: Any) -> None:
    wide_vectors()
    for i in range(a.size):
        y[i] = _bf16(a[i] * b[i])


@_compiled
def _look_up(table: Any, x_bits: Any, y: Any) -> None:
    wide_vectors()
    for i in range(x_bits.size):
        y[i] = table[x_bits[i] >> np.uint32(16)]


@_compiled
def _look_up_times(table: Any, x_bits: Any, other: Any, y: Any) -> None:
    wide_vectors()
    for i in range(x_bits.size):
        y[i] = _bf16(table[x_bits[i] >> np.uint32(16)] * other[i])


@_reordered
def _sum_of_squares(row: Any) -> Any:
    wide_vectors()
    total = np.float64(0)
    for j in range(row.size):
        value = np.float64(row[j])
        total += value * value
    return total


@_compiled
def _rms_norm(x: Any, scale: Any, epsilon: Any, y: Any) -> None:
    wide_vectors()
    for i in range(x.shape[0]):
        row, out = x[i], y[i]
        mean = np.float32(_sum_of_squares(row) / row.size)
        factor = np.float32(1) / np.sqrt(mean + epsilon)
        for j in range(row.size):
            out[j] = _bf16(row[j] * factor * scale[j])


@_compiled
def _probabilities(rows: Any, scale: Any, mask: Any, tokens: Any, smallest: Any) -> None:
    wide_vectors()
    for i in range(rows.shape[0]):
        row, allowed = rows[i], mask[i % tokens]
        for j in range(row.size):
            row[j] = row[j] * scale + allowed[j]
        largest = largest_of(row)
        for j in range(row.size):
            row[j] = exp(bounded(row[j] - largest))
        factor = np.float32(1) / total_of(row)
        for j in range(row.size):
            value = row[j] if row[j] >= smallest else np.float32(0)
            row[j] = _bf16(value * factor)


@_compiled
def _rotate(x: Any, cos: Any, sin: Any, y: Any) -> None:
    wide_vectors()
    half = cos.shape[1]
    for t in range(x.shape[0]):
        c, s = cos[t], sin[t]
        for h in range(x.shape[1]):
            first, second = x[t, h, :half], x[t, h, half : 2 * half]
            y_first, y_second = y[t, h, :half], y[t, h, half : 2 * half]
            for j in range(half):
                y_first[j] = _bf16(first[j] * c[j] - second[j] * s[j])
                y_second[j] = _bf16(second[j] * c[j] + first[j] * s[j])
            rest, y_rest = x[t, h, 2 * half :], y[t, h, 2 * half :]
            for j in range(rest.size):
                y_rest[j] = _bf16(rest[j])


@_reordered
def _dots(x: Any, codes: Any, out: Any) -> None:
    wide_vectors()
    for i in range(codes.shape[0]):
        for t in range(x.shape[0]):
            total = np.float32(0)
            for k in range(codes.shape[1]):
                total += x[t, k] * np.float32(codes[i, k])
            out[t, i] = total


@_reordered
def _dots_by_group(x: Any, codes: Any, scale: Any, group: Any, out: Any) -> None:
    wide_vectors()
    inner = codes.shape[1]
    for i in range(codes.shape[0]):
        for t in range(x.shape[0]):
            total = np.float32(0)
            for g in range(scale.shape[1]):
                first, end = g * group, min((g + 1) * group, inner)
                values, factors = x[t, first:end], codes[i, first:end]
                part = np.float32(0)
                for k in range(values.size):
                    part += values[k] * np.float32(factors[k])
                total += part * scale[i, g]
            out[t, i] = total


@_reordered
def _dots_bf16(x: Any, bits: Any, out: Any) -> None:
    wide_vectors()
    row = np.empty(bits.shape[1], np.uint32)
    values = row.view(np.float32)
    for i in range(bits.shape[0]):
        for k in range(bits.shape[1]):
            row[k] = np.uint32(bits[i, k]) << np.uint32(16)
        for t in range(x.shape[0]):
            total = np.float32(0)
            for k in range(bits.shape[1]):
                total += x[t, k] * values[k]
            out[t, i] = total
