"""GlobalAveragePool: the mean over all spatial dimensions. Cost: one pass for each element."""

from __future__ import annotations

from axsim.graph.operator import Operator
from axsim.graph.pooling import global_shape, global_work
from axsim.kernels.array import Array


def _kernel(x: Array) -> tuple[Array]:
    return (x.mean(axis=tuple(range(2, x.ndim)), keepdims=True, dtype=x.dtype),)


GLOBAL_AVERAGE_POOL = Operator(
    "GlobalAveragePool", global_shape, global_work, _kernel, role="vector"
)
