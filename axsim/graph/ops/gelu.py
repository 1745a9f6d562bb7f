"""Gelu: ``x * (1 + erf(x / sqrt(2))) / 2``, or its tanh approximation.

Cost for each element: erf form: scale, add 1, multiply by x, halve = 4 passes and one erf; tanh
form: square, times x, times 0.044715, add x, scale, add 1, multiply by x, halve = 8 passes and one
tanh.
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
    passes = 8 if attrs.get("approximate", "none") == "tanh" else 4
    return Work(passes=passes * elements, transcendentals=elements)


def _kernel(x: Array, *, approximate: str = "none") -> tuple[Array]:
    from axsim.kernels import gates

    return (gates.activation(x, gates.GELU_TANH if approximate == "tanh" else gates.GELU),)


GELU = register(Operator("Gelu", shape, _work, _kernel))
