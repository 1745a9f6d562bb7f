"""The operators of :mod:`axsim.kernels.bf16`, each one loop compiled by numba."""

from __future__ import annotations

from typing import Any

import numpy as np

from axsim.kernels.array import Array
from axsim.kernels.floats_numba import bounded, exp, largest_of, total_of
from axsim.kernels.jit import compiled, reordered, rounded_bf16, wide_vectors


def add(a: Array, b: Array, y: Array) -> None:
    """See :func:`axsim.kernels.bf16.add`."""
    _add(a.reshape(-1), b.reshape(-1), y.reshape(-1))


def multiply(a: Array, b: Array, y: Array) -> None:
    """See :func:`axsim.kernels.bf16.multiply`."""
    _multiply(a.reshape(-1), b.reshape(-1), y.reshape(-1))


def look_up(table: Array, x: Array, y: Array) -> None:
    """See :func:`axsim.kernels.bf16.look_up`."""
    _look_up(table, x.reshape(-1).view(np.uint32), y.reshape(-1))


def look_up_times(table: Array, x: Array, other: Array, y: Array) -> None:
    """See :func:`axsim.kernels.bf16.look_up_times`."""
    _look_up_times(table, x.reshape(-1).view(np.uint32), other.reshape(-1), y.reshape(-1))


def rms_norm(x: Array, scale: Array, epsilon: float, y: Array) -> None:
    """See :func:`axsim.kernels.bf16.rms_norm`."""
    _rms_norm(x, scale, np.float32(epsilon), y)


def rotate(x: Array, cos: Array, sin: Array, y: Array) -> None:
    """See :func:`axsim.kernels.bf16.rotate`."""
    _rotate(x, cos, sin, y)


def probabilities(scores: Array, scale: float, mask: Array, smallest: float) -> None:
    """See :func:`axsim.kernels.bf16.probabilities`."""
    rows = scores.reshape(-1, scores.shape[-1])
    _probabilities(rows, np.float32(scale), mask, len(mask), np.float32(smallest))


def dots(x: Array, codes: Array, scale: Array | None, group: int, out: Array) -> None:
    """See :func:`axsim.kernels.bf16.dots`."""
    if codes.dtype == np.uint16:
        _dots_bf16(x, codes, out)
    elif scale is None:
        _dots(x, codes, out)
    else:
        _dots_by_group(x, codes, scale, group, out)


@compiled
def round_bits(bits: Any) -> None:
    """See :func:`axsim.kernels.arithmetic.round_bits`."""
    wide_vectors()
    values = bits.view(np.float32)
    for i in range(bits.size):
        values[i] = rounded_bf16(values[i])


@compiled
def _add(a: Any, b: Any, y: Any) -> None:
    wide_vectors()
    for i in range(a.size):
        y[i] = rounded_bf16(a[i] + b[i])


@compiled
def _multiply(a: Any, b: Any, y: Any) -> None:
    wide_vectors()
    for i in range(a.size):
        y[i] = rounded_bf16(a[i] * b[i])


@compiled
def _look_up(table: Any, x_bits: Any, y: Any) -> None:
    wide_vectors()
    for i in range(x_bits.size):
        y[i] = table[x_bits[i] >> np.uint32(16)]


@compiled
def _look_up_times(table: Any, x_bits: Any, other: Any, y: Any) -> None:
    wide_vectors()
    for i in range(x_bits.size):
        y[i] = rounded_bf16(table[x_bits[i] >> np.uint32(16)] * other[i])


@reordered
def _sum_of_squares(row: Any) -> Any:
    wide_vectors()
    total = np.float64(0)
    for j in range(row.size):
        value = np.float64(row[j])
        total += value * value
    return total


@compiled
def _rms_norm(x: Any, scale: Any, epsilon: Any, y: Any) -> None:
    wide_vectors()
    for i in range(x.shape[0]):
        row, out = x[i], y[i]
        mean = np.float32(_sum_of_squares(row) / row.size)
        factor = np.float32(1) / np.sqrt(mean + epsilon)
        for j in range(row.size):
            out[j] = rounded_bf16(row[j] * factor * scale[j])


@compiled
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
            row[j] = rounded_bf16(value * factor)


@compiled
def _rotate(x: Any, cos: Any, sin: Any, y: Any) -> None:
    wide_vectors()
    half = cos.shape[1]
    for t in range(x.shape[0]):
        c, s = cos[t], sin[t]
        for h in range(x.shape[1]):
            first, second = x[t, h, :half], x[t, h, half : 2 * half]
            y_first, y_second = y[t, h, :half], y[t, h, half : 2 * half]
            for j in range(half):
                y_first[j] = rounded_bf16(first[j] * c[j] - second[j] * s[j])
                y_second[j] = rounded_bf16(second[j] * c[j] + first[j] * s[j])
            rest, y_rest = x[t, h, 2 * half :], y[t, h, 2 * half :]
            for j in range(rest.size):
                y_rest[j] = rounded_bf16(rest[j])


@reordered
def _dots(x: Any, codes: Any, out: Any) -> None:
    wide_vectors()
    for i in range(codes.shape[0]):
        for t in range(x.shape[0]):
            total = np.float32(0)
            for k in range(codes.shape[1]):
                total += x[t, k] * np.float32(codes[i, k])
            out[t, i] = total


@reordered
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


@reordered
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
