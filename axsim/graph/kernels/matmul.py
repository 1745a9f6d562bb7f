"""Products of two activations."""

from __future__ import annotations

from axsim.graph.array import Array


def matmul(a: Array, b: Array) -> Array:
    """``a @ b``; with [heads, group, rows, K] and [heads, 1, K, N] the rows of a group, which share
    one right-hand side, are multiplied together."""
    if a.ndim == b.ndim == 4 and b.shape[1] == 1 and a.shape[0] == b.shape[0]:
        heads, group, rows, inner = a.shape
        product: Array = a.reshape(heads, group * rows, inner) @ b[:, 0]
        return product.reshape(heads, group, rows, b.shape[3])
    product = a @ b
    return product
