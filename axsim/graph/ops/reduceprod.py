"""ReduceProd: the product along axes. Cost: one pass for each element."""

from __future__ import annotations

from axsim.graph.reduction import reduction

REDUCE_PROD = reduction(
    "ReduceProd", lambda np, x, axes, keep: x.prod(axis=axes, keepdims=keep, dtype=x.dtype)
)
