"""Div: the elementwise quotient with broadcasting, truncated for integers.

Cost: one pass and, per divisor element, one reciprocal.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import Any

from axsim.graph.elementwise import shape
from axsim.graph.operator import Operator, Shape, Work
from axsim.kernels.array import Array


def _work(inputs: Sequence[Shape], outputs: Sequence[Shape], attrs: Mapping[str, Any]) -> Work:
    return Work(passes=prod(outputs[0]), transcendentals=prod(inputs[1]))


def _kernel(a: Array, b: Array) -> tuple[Array]:
    if a.dtype.kind in "iu":
        quotient = abs(a) // abs(b) if a.dtype.kind == "i" else a // b
        import numpy as np

        return (np.where((a < 0) ^ (b < 0), -quotient, quotient),)
    return (a / b,)


DIV = Operator("Div", shape, _work, _kernel, role="elementwise")
