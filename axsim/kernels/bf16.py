"""Operators on bf16 numbers, held as float32, whose results are rounded to bf16.

:mod:`axsim.kernels.bf16_numba` does the same in one pass each; sums of products there run in
another order, which the arithmetic leaves open. Unless said otherwise arrays are C-contiguous
float32 of one shape, and ``y`` is written whole.
"""

from __future__ import annotations

import numpy as np

from axsim.kernels.arithmetic import from_bf16_bits, round_bf16
from axsim.kernels.array import Array
from axsim.kernels.rowwise import exponentials
from axsim.kernels.rowwise import rms_norm as normalised
from axsim.kernels.twin import twin

_compiled = twin("axsim.kernels.bf16_numba")


@_compiled
def add(a: Array, b: Array, y: Array) -> None:
    """``a + b``."""
    np.add(a, b, out=y)
    round_bf16(y, inplace=True)


@_compiled
def multiply(a: Array, b: Array, y: Array) -> None:
    """``a * b``."""
    np.multiply(a, b, out=y)
    round_bf16(y, inplace=True)


@_compiled
def look_up(table: Array, x: Array, y: Array) -> None:
    """A function of bf16 numbers ``x``; ``table`` has its values by their bit patterns [65536]."""
    np.take(table, x.view(np.uint32) >> 16, out=y)


@_compiled
def look_up_times(table: Array, x: Array, other: Array, y: Array) -> None:
    """:func:`look_up` of ``x``, times ``other``."""
    np.take(table, x.view(np.uint32) >> 16, out=y)
    y *= other
    round_bf16(y, inplace=True)


@_compiled
def rms_norm(x: Array, scale: Array, epsilon: float, y: Array) -> None:
    """Rows [T, width] over their root mean square, times ``scale`` [width]."""
    y[...] = normalised(x, scale, epsilon)
    round_bf16(y, inplace=True)


@_compiled
def rotate(x: Array, cos: Array, sin: Array, y: Array) -> None:
    """Channels j and j + half of heads [T, heads, width] turned by angles [T, half]."""
    half = cos.shape[1]
    first, second = x[..., :half], x[..., half : 2 * half]
    cos, sin = cos[:, None], sin[:, None]
    y[..., :half] = first * cos - second * sin
    y[..., half : 2 * half] = second * cos + first * sin
    y[..., 2 * half :] = x[..., 2 * half :]
    round_bf16(y, inplace=True)


@_compiled
def probabilities(scores: Array, scale: float, mask: Array, smallest: float) -> None:
    """Softmax over keys of ``scores * scale + mask``, in place; [..., T, keys], ``mask`` [T, keys].
    Exponentials below ``smallest`` become 0."""
    scores *= np.float32(scale)
    scores += mask
    soften(scores, smallest)
    round_bf16(scores, inplace=True)


def soften(scores: Array, smallest: float) -> None:
    """Softmax over the last axis in float32, in place; exponentials below ``smallest`` become 0."""
    rows = scores.reshape(-1, scores.shape[-1])
    totals = exponentials(rows)
    # Masked keys leave numbers at the edge of float32, which make products very slow.
    np.multiply(rows, rows >= np.float32(smallest), out=rows)
    rows *= 1 / totals[:, None]


@_compiled
def dots(x: Array, codes: Array, scale: Array | None, group: int, out: Array) -> None:
    """``x @ w.T`` [T, rows] for ``x`` [T, in] and weights as :func:`factors` takes them.

    Every stored code is read once, as it is stored: on few rows of ``x`` that is what takes the
    time.
    """
    np.matmul(x, factors(codes, scale, group, np.empty(codes.shape, np.float32)).T, out=out)


def factors(codes: Array, scale: Array | None, group: int, out: Array) -> Array:
    """Weights [rows, in] in float32: bf16 bit patterns (uint16), codes (int8) with a ``scale``
    [rows, groups] for every ``group`` of inputs, or numbers as they are; into ``out``."""
    if codes.dtype == np.uint16:
        out[...] = from_bf16_bits(codes)
    elif scale is None:
        np.copyto(out, codes)
    else:
        whole = codes.shape[1] // group * group
        shape = (len(codes), whole // group, group)
        split = codes[:, :whole].reshape(shape), out[:, :whole].reshape(shape)
        np.multiply(split[0], scale[:, : shape[1], None], out=split[1], dtype=np.float32)
        if whole < codes.shape[1]:
            np.multiply(codes[:, whole:], scale[:, -1:], out=out[:, whole:], dtype=np.float32)
    return out
