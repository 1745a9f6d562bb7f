"""ReduceMax: the largest element along axes.

Cost: one pass for each element; codes stay what they are.
"""

from __future__ import annotations

from typing import Any

from axsim.graph.operator import always
from axsim.graph.reduction import reduction
from axsim.kernels.array import Array


def _compute(np: Any, x: Array, axes: tuple[int, ...], keepdims: bool) -> Array:
    if x.dtype.kind == "b":
        truth: Array = np.asarray(x.any(axis=axes, keepdims=keepdims))
        return truth
    limit = -np.inf if x.dtype.kind == "f" else np.iinfo(x.dtype).min  # of nothing at all
    y: Array = np.max(x, axis=axes, keepdims=keepdims, initial=limit)
    return y


REDUCE_MAX = reduction("ReduceMax", _compute, selects=always)
