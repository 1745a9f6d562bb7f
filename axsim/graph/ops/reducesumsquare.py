"""ReduceSumSquare: the sum of squares along axes. Cost: two passes for each element."""

from __future__ import annotations

from axsim.graph.reduction import reduction

REDUCE_SUM_SQUARE = reduction(
    "ReduceSumSquare", lambda np, x, axes, keep: (x * x).sum(axis=axes, keepdims=keep), passes=2
)
