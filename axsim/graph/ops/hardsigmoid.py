"""HardSigmoid: ``alpha * x + beta`` within [0, 1].

Cost for each element: multiply, add, two limits = 4 passes.
"""

from __future__ import annotations

from typing import Any

from axsim.graph.elementwise import function
from axsim.kernels.array import Array


def _hard_sigmoid(np: Any, x: Array, alpha: float = 0.2, beta: float = 0.5) -> Array:
    number = x.dtype.type
    y: Array = np.clip(x * number(alpha) + number(beta), number(0), number(1))
    return y


HARD_SIGMOID = function("HardSigmoid", _hard_sigmoid, passes=4)
