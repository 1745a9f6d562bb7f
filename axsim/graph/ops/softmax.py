"""Softmax: exponentials normalised to sum 1 along one axis.

Cost for each element: maximum, subtract, sum, multiply by the reciprocal = 4 passes and one exp;
for each row one reciprocal.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import Any

from axsim.graph.operator import Operator, Shape, Work
from axsim.graph.shapes import positive_axis
from axsim.kernels.array import Array


def _shape(shapes: Sequence[Shape], attrs: Mapping[str, Any]) -> list[Shape]:
    positive_axis(attrs.get("axis", -1), len(shapes[0]))
    return [shapes[0]]


def _work(inputs: Sequence[Shape], outputs: Sequence[Shape], attrs: Mapping[str, Any]) -> Work:
    elements = prod(inputs[0])
    rows = elements // max(inputs[0][attrs.get("axis", -1)], 1)
    return Work(passes=4 * elements, transcendentals=elements + rows)


def _kernel(x: Array, *, axis: int = -1) -> tuple[Array]:
    from axsim.kernels.rowwise import softmax

    return (softmax(x, axis),)


SOFTMAX = Operator(
    "Softmax", _shape, _work, _kernel, role="vector", shows="softmax", noise="exponential"
)
