"""Passes over codes: what each one computes, in the fewest lines of numpy.

:mod:`axsim.kernels.codes_numba` computes the same to the bit, in one pass each. Codes are U8
or U16 arrays; ``out`` arrays are written whole. The definitions are those of
:mod:`axsim.kernels.arithmetic`.
"""

from __future__ import annotations

import numpy as np

from axsim.kernels.array import Array
from axsim.kernels.qparams import QParams
from axsim.kernels.twin import twin

_compiled = twin("axsim.kernels.codes_numba")


@_compiled
def split_bytes(codes: Array, high: Array, low: Array) -> None:
    """High and low bytes of U16 codes [M, N]."""
    high[...] = codes >> 8
    low[...] = codes & 255


@_compiled
def to_fixed_point(x: Array, codes: Array, grid: Array) -> None:
    """Whole numbers of a float32 row's grid, moved up by 2^23, as bytes.

    ``x`` [T, K]; ``codes`` U8 [3 T, K], the rows of high bytes above those of middle and low ones;
    ``grid`` float32 [T]: 2^(e - 22) for a row whose largest number is in [2^e, 2^(e + 1)), at least
    2^-122; NaN for a row that is not finite.
    """
    rows = len(x)
    bits = np.abs(x).max(axis=1).view(np.uint32) >> 23
    grid[...] = ((np.maximum(bits, 27) - 22) << 23).astype(np.uint32).view(np.float32)
    grid[bits == 255] = np.nan
    with np.errstate(invalid="ignore"):
        steps = np.minimum(np.rint(x * (np.float32(1) / grid)[:, None]), np.float32(2**23 - 1))
        whole = np.nan_to_num(steps, nan=0.0).astype(np.int32) + np.int32(2**23)
    for i in range(3):
        codes[i * rows : (i + 1) * rows] = (whole >> (16 - 8 * i)) & 255


@_compiled
def softmax(codes: Array, exponentials: Array, y: QParams, out: Array) -> None:
    """Softmax of each row of [rows, keys]; ``exponentials`` as :func:`exponential_table` has them.

    ``out`` may be ``codes``.
    """
    below = np.subtract(codes.max(axis=1, keepdims=True), codes)  # unsigned, never wraps
    e = exponentials.take(below)
    total = e.sum(axis=1, dtype=np.int64, keepdims=True).astype(np.float32)
    factor = np.float32(1) / (total * np.float32(y.scale))
    out[...] = rounded_codes(e.astype(np.float32) * factor, y)


@_compiled
def look_up(table: Array, codes: Array, out: Array) -> None:
    """``table[codes]``."""
    np.take(table, codes, out=out, mode="clip")


@_compiled
def layer_norm(
    codes: Array, x: QParams, scale: Array, bias: Array, epsilon: float, y: QParams, out: Array
) -> None:
    """LayerNormalization of each row of [rows, width] with exact sums of codes and their squares.

    ``scale`` and ``bias``: float32 [width].
    """
    width = codes.shape[1]
    wide = codes.astype(np.float64)
    total = wide.sum(axis=1)  # whole numbers below 2^53, like their squares' sums
    squares = np.einsum("ij,ij->i", wide, wide)
    spread = width * squares.astype(np.int64) - total.astype(np.int64) ** 2
    variance = spread.astype(np.float64) / float(width * width)
    step = np.float64(np.float32(x.scale))
    inverse = step / np.sqrt(variance * (step * step) + epsilon)
    value = codes.astype(np.float32)
    value -= (total / width).astype(np.float32)[:, None]
    value *= inverse.astype(np.float32)[:, None]
    value *= scale
    value += bias
    out[...] = y.quantise(value)


@_compiled
def add(a: Array, qa: QParams, b: Array, qb: QParams, y: QParams, out: Array) -> None:
    """Codes of the sum of two tensors of one shape."""
    out[...] = y.quantise(qa.dequantise(a) + qb.dequantise(b))


@_compiled
def scale_columns(a: Array, x: QParams, factor: Array, y: QParams, out: Array) -> None:
    """Codes of ``a`` [rows, width] times float32 ``factor`` [width]."""
    out[...] = y.quantise(x.dequantise(a) * factor)


def rounded_codes(steps: Array, y: QParams) -> Array:
    """``saturate(round(steps) + zero)`` as codes; overwrites ``steps``.

    Once saturated, adding 1.5 * 2^23 rounds half to even and leaves the integer in the low bits.
    """
    low, high = np.float32(y.low - y.zero_point), np.float32(y.high - y.zero_point)
    np.clip(steps, low, high, out=steps)
    steps += np.float32(12582912)
    integers = steps.view(np.uint32)
    if y.zero_point:
        integers += np.uint32(y.zero_point)
    codes: Array = integers.astype(y.numpy)  # keeps the low bits
    return codes
