"""Sub: the elementwise difference with multidirectional broadcasting. Cost: one pass."""

from __future__ import annotations

from axsim.graph.elementwise import one_pass, shape
from axsim.graph.operator import Operator
from axsim.kernels.array import Array


def _kernel(a: Array, b: Array) -> tuple[Array]:
    return (a - b,)


SUB = Operator("Sub", shape, one_pass, _kernel, role="elementwise", noise="absolute")
