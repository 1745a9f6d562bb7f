"""Softmax, LayerNormalization and RMSNormalization in float32: operators that treat rows alone."""

from __future__ import annotations

import numpy as np

from axsim.kernels.array import Array
from axsim.kernels.parallel import in_row_blocks
from axsim.kernels.twin import twin

LOWEST = -87.0
"""exp of less underflows, which takes most CPUs several times as long; exp(-87) is 2e-38."""


def softmax(x: Array, axis: int = -1) -> Array:
    """exp(x - max) normalised to sum 1 along ``axis``, in a new array."""
    y = np.array(np.moveaxis(x, axis, -1), order="C")
    flat = y.reshape(-1, y.shape[-1])

    def block(rows: slice) -> None:
        part = flat[rows]
        part *= 1 / exponentials(part)[:, None]

    in_row_blocks(block, *flat.shape)
    return np.moveaxis(y, -1, axis)


def _compiles(x: Array, *rest: object, **named: object) -> bool:
    return x.dtype == np.float32 and x.flags.c_contiguous


@twin("axsim.kernels.floats_numba", _compiles)
def exponentials(scores: Array, shift: bool = True) -> Array:
    """exp(scores - their row's maximum) of [rows, keys], in place; the sums [rows] are returned.

    Without ``shift`` the maximum is not subtracted, for scores of which none is far from zero.
    """
    if shift:
        scores -= scores.max(axis=1, keepdims=True)
        if scores.min() < LOWEST:
            np.maximum(scores, scores.dtype.type(LOWEST), out=scores)
    np.exp(scores, out=scores)
    total: Array = scores @ np.ones(scores.shape[1], scores.dtype)
    return total


def layer_norm(
    x: Array, scale: Array, bias: Array | None, epsilon: float
) -> tuple[Array, Array, Array]:
    """Normalised [rows, width], and each row's mean and inverse deviation [rows, 1]."""
    y = np.empty(x.shape, x.dtype)
    mean, inverse = np.empty((2, len(x)), x.dtype)
    shift = np.zeros_like(scale) if bias is None else bias

    def block(rows: slice) -> None:
        layer_norm_rows(x[rows], scale, shift, epsilon, y[rows], mean[rows], inverse[rows])

    in_row_blocks(block, *x.shape)
    return y, mean[:, None], inverse[:, None]


@twin("axsim.kernels.floats_numba", _compiles)
def layer_norm_rows(
    x: Array, scale: Array, bias: Array, epsilon: float, y: Array, mean: Array, inverse: Array
) -> None:
    """:func:`layer_norm` into ``y`` [rows, width], ``mean`` and ``inverse`` [rows]."""
    mean[:] = x.mean(axis=1)
    np.subtract(x, mean[:, None], out=y)
    inverse[:] = _inverse_root(y, epsilon)
    y *= inverse[:, None]
    y *= scale
    y += bias


def rms_norm(x: Array, scale: Array, epsilon: float) -> Array:
    """Normalised [rows, width]."""
    y = np.empty_like(x)

    def block(rows: slice) -> None:
        np.multiply(x[rows], _inverse_root(x[rows], epsilon)[:, None], out=y[rows])
        y[rows] *= scale

    in_row_blocks(block, *x.shape)
    return y


def _inverse_root(x: Array, epsilon: float) -> Array:
    """1 / sqrt(mean(x^2) + epsilon) of each row."""
    mean_square = np.einsum("ij,ij->i", x, x) / x.dtype.type(x.shape[1])
    inverse: Array = 1 / np.sqrt(mean_square + x.dtype.type(epsilon))
    return inverse


def group_norm(x: Array, groups: int, scale: Array, bias: Array, epsilon: float) -> Array:
    """Each of ``groups`` of the channels of [N, C, ...] to mean 0 and variance 1; ``scale`` and
    ``bias`` are given for each channel or each group."""
    rows = x.reshape(x.shape[0] * groups, -1)
    ones, zeros = np.ones(rows.shape[1], x.dtype), np.zeros(rows.shape[1], x.dtype)
    y = layer_norm(rows, ones, zeros, epsilon)[0].reshape(x.shape)
    spread = (-1, *[1] * (x.ndim - 2))
    share = x.shape[1] // scale.size  # channels of one number
    y *= scale.repeat(share).reshape(spread)
    y += bias.repeat(share).reshape(spread)
    return y
