"""Softmax in float32."""

from __future__ import annotations

import numpy as np

from axsim.graph.array import Array
from axsim.graph.kernels.parallel import in_row_blocks

LOWEST = -87.0
"""exp of less underflows, which takes most CPUs several times as long; exp(-87) is 2e-38."""


def softmax(x: Array, axis: int = -1) -> Array:
    """exp(x - max) normalised to sum 1 along ``axis``, in a new array."""
    y = np.array(np.moveaxis(x, axis, -1), order="C")
    flat = y.reshape(-1, y.shape[-1])

    def block(rows: slice) -> None:
        part = flat[rows]
        exponentials(part)
        part *= 1 / part.sum(axis=1, keepdims=True)

    in_row_blocks(block, *flat.shape)
    return np.moveaxis(y, -1, axis)


def exponentials(scores: Array) -> None:
    """exp(scores - their row's maximum) of [rows, keys], in place."""
    scores -= scores.max(axis=1, keepdims=True)
    if scores.min() < LOWEST:
        np.maximum(scores, scores.dtype.type(LOWEST), out=scores)
    np.exp(scores, out=scores)
