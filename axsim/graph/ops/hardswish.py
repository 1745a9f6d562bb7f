"""HardSwish: ``x * HardSigmoid(x)`` with slope 1/6 and offset 1/2.

Cost for each element: multiply, add, two limits, multiply by x = 5 passes.
"""

from __future__ import annotations

from typing import Any

from axsim.graph.elementwise import function
from axsim.kernels.array import Array


def _hard_swish(np: Any, x: Array) -> Array:
    number = x.dtype.type
    y: Array = x * np.clip(x * number(1 / 6) + number(0.5), number(0), number(1))
    return y


HARD_SWISH = function("HardSwish", _hard_swish, passes=5)
