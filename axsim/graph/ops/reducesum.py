"""ReduceSum: the sum along axes. Cost: one pass for each element."""

from __future__ import annotations

from axsim.graph.reduction import reduction

REDUCE_SUM = reduction(
    "ReduceSum", lambda np, x, axes, keep: x.sum(axis=axes, keepdims=keep, dtype=x.dtype)
)
