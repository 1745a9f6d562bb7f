"""Softmax in float32."""

from __future__ import annotations

import numpy as np

from axsim.graph.array import Array


def softmax(x: Array, axis: int = -1) -> Array:
    """exp(x - max) normalised to sum 1 along ``axis``, in a new array."""
    y: Array = x - x.max(axis=axis, keepdims=True)
    np.exp(y, out=y)
    y *= 1 / y.sum(axis=axis, keepdims=True)
    return y
