"""Mul: the elementwise product with multidirectional broadcasting. Cost: one pass."""

from __future__ import annotations

from axsim.graph.elementwise import one_pass, shape
from axsim.graph.operator import Operator
from axsim.kernels.array import Array


def _kernel(a: Array, b: Array) -> tuple[Array]:
    return (a * b,)


MUL = Operator("Mul", shape, one_pass, _kernel, role="elementwise")
