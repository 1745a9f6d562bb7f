"""LayerNormalization and RMSNormalization over the last axis, in blocks of rows."""

from __future__ import annotations

import numpy as np

from axsim.kernels.array import Array
from axsim.kernels.compiled import compiled
from axsim.kernels.parallel import in_row_blocks


def layer_norm(
    x: Array, scale: Array, bias: Array | None, epsilon: float
) -> tuple[Array, Array, Array]:
    """Normalised [rows, width], and each row's mean and inverse deviation [rows, 1]."""
    y = np.empty(x.shape, x.dtype)
    mean, inverse = np.empty((2, len(x), 1), x.dtype)
    loops = compiled()
    fast = loops is not None and x.dtype == np.float32 and x.flags.c_contiguous
    shift = np.zeros_like(scale) if bias is None else bias

    def block(rows: slice) -> None:
        part = y[rows]
        if loops is not None and fast:
            spread = mean[rows, 0], inverse[rows, 0]
            loops.layer_norm(x[rows], scale, shift, epsilon, part, *spread)
            return
        mean[rows] = x[rows].mean(axis=1, keepdims=True)
        np.subtract(x[rows], mean[rows], out=part)
        _inverse_root(part, epsilon, inverse[rows])
        part *= inverse[rows]
        part *= scale
        if bias is not None:
            part += bias

    in_row_blocks(block, *x.shape)
    return y, mean, inverse


def rms_norm(x: Array, scale: Array, epsilon: float) -> Array:
    """Normalised [rows, width]."""
    y = np.empty_like(x)
    inverse = np.empty((len(x), 1), x.dtype)

    def block(rows: slice) -> None:
        _inverse_root(x[rows], epsilon, inverse[rows])
        np.multiply(x[rows], inverse[rows], out=y[rows])
        y[rows] *= scale

    in_row_blocks(block, *x.shape)
    return y


def _inverse_root(x: Array, epsilon: float, out: Array) -> None:
    """1 / sqrt(mean(x^2) + epsilon) of each row."""
    mean_square = np.einsum("ij,ij->i", x, x)[:, None] / x.dtype.type(x.shape[1])
    np.divide(1, np.sqrt(mean_square + x.dtype.type(epsilon)), out=out)


def group_norm(x: Array, groups: int, scale: Array, bias: Array, epsilon: float) -> Array:
    """Each of ``groups`` of the channels of [N, C, ...] to mean 0 and variance 1; ``scale`` and
    ``bias`` are given for each channel or each group."""
    channels = x.shape[1]
    rows = x.reshape(x.shape[0] * groups, -1)
    ones, zeros = np.ones(rows.shape[1], x.dtype), np.zeros(rows.shape[1], x.dtype)
    y = layer_norm(rows, ones, zeros, epsilon)[0].reshape(x.shape)
    spread = (-1, *[1] * (x.ndim - 2))
    share = channels // scale.size  # channels of one number
    y *= scale.repeat(share).reshape(spread)
    y += bias.repeat(share).reshape(spread)
    return y
