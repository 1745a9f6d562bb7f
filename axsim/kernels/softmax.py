"""Softmax in float32."""

from __future__ import annotations

import numpy as np

from axsim.kernels.array import Array
from axsim.kernels.compiled import compiled
from axsim.kernels.parallel import in_row_blocks

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


def exponentials(scores: Array, shift: bool = True) -> Array:
    """exp(scores - their row's maximum) of [rows, keys], in place; the sums [rows] are returned.

    Without ``shift`` the maximum is not subtracted, for scores of which none is far from zero.
    """
    loops = compiled()
    if loops is not None and scores.dtype == np.float32 and scores.flags.c_contiguous:
        totals = np.empty(len(scores), np.float32)
        loops.exponentials(scores, totals, shift)
        return totals
    if shift:
        scores -= scores.max(axis=1, keepdims=True)
        if scores.min() < LOWEST:
            np.maximum(scores, scores.dtype.type(LOWEST), out=scores)
    np.exp(scores, out=scores)
    total: Array = scores @ np.ones(scores.shape[1], scores.dtype)
    return total
