"""ReduceMean: the mean along axes. Cost: one pass for each element."""

from __future__ import annotations

from axsim.graph.reduction import reduction

REDUCE_MEAN = reduction(
    "ReduceMean", lambda np, x, axes, keep: x.mean(axis=axes, keepdims=keep, dtype=x.dtype)
)
