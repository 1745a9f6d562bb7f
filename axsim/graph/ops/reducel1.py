"""ReduceL1: the sum of magnitudes along axes. Cost: two passes for each element."""

from __future__ import annotations

from axsim.graph.reduction import reduction

REDUCEL1 = reduction(
    "ReduceL1", lambda np, x, axes, keep: np.abs(x).sum(axis=axes, keepdims=keep), passes=2
)
