"""ReduceMin: the smallest element along axes.

Cost: one pass for each element; codes stay what they are.
"""

from __future__ import annotations

from typing import Any

from axsim.graph.operator import always
from axsim.graph.reduction import reduction
from axsim.kernels.array import Array


def _compute(np: Any, x: Array, axes: tuple[int, ...], keepdims: bool) -> Array:
    if x.dtype.kind == "b":
        truth: Array = np.asarray(x.all(axis=axes, keepdims=keepdims))
        return truth
    limit = np.inf if x.dtype.kind == "f" else np.iinfo(x.dtype).max  # of nothing at all
    y: Array = np.min(x, axis=axes, keepdims=keepdims, initial=limit)
    return y


REDUCE_MIN = reduction("ReduceMin", _compute, selects=always)
