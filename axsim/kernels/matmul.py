"""Products of two activations."""

from __future__ import annotations

import numpy as np

from axsim.kernels.array import Array


def matmul(a: Array, b: Array) -> Array:
    """``a @ b``; with [heads, group, rows, K] and [heads, 1, K, N] the rows of a group, which share
    one right-hand side, are multiplied together."""
    if a.ndim == b.ndim == 4 and b.shape[1] == 1 and a.shape[0] == b.shape[0]:
        heads, group, rows, inner = a.shape
        left, right = a.reshape(heads, group * rows, inner), b[:, 0]
        if group * rows < _FEW_ROWS and right.strides[-2] < right.strides[-1]:
            # BLAS is twice as fast when the many columns, whose numbers lie together, are its rows.
            turned = right.swapaxes(1, 2) @ left.swapaxes(1, 2)
            product: Array = np.ascontiguousarray(turned.swapaxes(1, 2))
        else:
            product = left @ right
        return product.reshape(heads, group, rows, b.shape[3])
    product = a @ b
    return product


_FEW_ROWS = 16
