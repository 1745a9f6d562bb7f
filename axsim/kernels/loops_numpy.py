"""Passes over codes in plain numpy: what each one computes, in the fewest lines.

:mod:`axsim.kernels.loops_numba` computes the same to the bit, in one pass each. Codes are U8
or U16 arrays; ``out`` arrays are written whole. The definitions are those of
:mod:`axsim.kernels.arithmetic`.
"""

from __future__ import annotations

import numpy as np

from axsim.kernels.arithmetic import round_bf16
from axsim.kernels.array import Array
from axsim.kernels.qparams import QParams


def requantise(acc: Array, correction: Array, multiplier: Array, y: QParams, out: Array) -> None:
    """``saturate(round(float32(acc + correction) * multiplier) + zero)``.

    ``acc`` [M, N]: int32, whose sum with ``correction`` [N] stays in S32, or whole float64 numbers;
    ``multiplier``: float32 [N]. May overwrite ``acc``.
    """
    acc += correction.astype(acc.dtype)
    steps = acc.astype(np.float32)
    steps *= multiplier
    out[...] = rounded_codes(steps, y)


def requantise_bytes(
    parts: Array, correction: Array, multiplier: Array, y: QParams, out: Array
) -> None:
    """:func:`requantise` of sums over U16 codes from those over their bytes: ``parts`` int32
    [2 M, N] holds the sums over high bytes above the sums over low ones."""
    rows = len(parts) // 2
    acc = np.multiply(parts[:rows], 256.0, dtype=np.float64)
    acc += parts[rows:]
    requantise(acc, correction, multiplier, y, out)


def requantise_byte_pairs(
    parts: Array, rows: Array, columns: Array, multiplier: Array, y: QParams, out: Array
) -> None:
    """:func:`requantise` of products of two U16 codes from those of their bytes.

    ``parts`` int32 [2 M, 2 N]: above the sums over the left codes' high bytes, left over the right
    codes' high bytes. float64 ``rows`` [M] and ``columns`` [N] are added to the sums.
    """
    left = 256.0 * parts[: len(rows)] + parts[len(rows) :]
    acc = 256.0 * left[:, : len(columns)] + left[:, len(columns) :] + rows[:, None]
    requantise(acc, columns, multiplier, y, out)


def split_bytes(codes: Array, high: Array, low: Array, sums: Array) -> None:
    """High and low bytes of U16 codes [M, N], and float64 sums of each row's codes [M]."""
    high[...] = codes >> 8
    low[...] = codes & 255
    sums[...] = codes.sum(axis=1, dtype=np.uint64)


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
    """``float32(sum) * grid * scale + bias`` into a block of ``y``, whose corner is given.

    ``parts`` int32 [3 T, N]: the sums over the three bytes; ``shares``, ``scale``, ``bias`` [N]:
    see :mod:`axsim.numerics.fixed_point`. Rounded to bf16 numbers if ``to_bf16``.
    """
    rows = len(grid)
    acc = 65536.0 * parts[:rows] + 256.0 * parts[rows : 2 * rows] + parts[2 * rows :]
    value = (acc - shares).astype(np.float32)
    with np.errstate(over="ignore"):
        value *= grid[:, None]
        value *= scale
        value += bias
    y[top : top + rows, left : left + parts.shape[1]] = (
        round_bf16(value, inplace=True) if to_bf16 else value
    )


def softmax(codes: Array, exponentials: Array, y: QParams, out: Array) -> None:
    """Softmax of each row of [rows, keys]; ``exponentials`` as :func:`exponential_table` has them.

    ``out`` may be ``codes``.
    """
    below = np.subtract(codes.max(axis=1, keepdims=True), codes)  # unsigned, never wraps
    e = exponentials.take(below)
    total = e.sum(axis=1, dtype=np.int64, keepdims=True).astype(np.float32)
    factor = np.float32(1) / (total * np.float32(y.scale))
    out[...] = rounded_codes(e.astype(np.float32) * factor, y)


def look_up(table: Array, codes: Array, out: Array) -> None:
    """``table[codes]``."""
    np.take(table, codes, out=out, mode="clip")


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


def add(a: Array, qa: QParams, b: Array, qb: QParams, y: QParams, out: Array) -> None:
    """Codes of the sum of two tensors of one shape."""
    out[...] = y.quantise(qa.dequantise(a) + qb.dequantise(b))


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
