"""GlobalMaxPool: the maximum over all spatial dimensions. Cost: one pass for each element."""

from __future__ import annotations

from axsim.graph.operator import Operator, always
from axsim.graph.pooling import global_shape, global_work
from axsim.kernels.array import Array


def _kernel(x: Array) -> tuple[Array]:
    return (x.max(axis=tuple(range(2, x.ndim)), keepdims=True),)


GLOBAL_MAX_POOL = Operator(
    "GlobalMaxPool", global_shape, global_work, _kernel, role="vector", selects=always
)
