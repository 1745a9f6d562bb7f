"""Swish (SiLU): ``x * sigmoid(alpha * x)``.

Cost for each element: negate, add 1, multiply = 3 passes, one exp and one reciprocal.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import Any

from axsim.graph.elementwise import shape
from axsim.graph.operator import Operator, Shape, Work, register
from axsim.kernels.array import Array


def _work(inputs: Sequence[Shape], outputs: Sequence[Shape], attrs: Mapping[str, Any]) -> Work:
    elements = prod(inputs[0])
    return Work(passes=3 * elements, transcendentals=2 * elements)


def _kernel(x: Array, *, alpha: float = 1.0) -> tuple[Array]:
    from axsim.kernels.gates import activation

    return (activation(x, (alpha,)),)


SWISH = register(Operator("Swish", shape, _work, _kernel))
