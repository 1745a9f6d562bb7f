"""Sigmoid: ``1 / (1 + exp(-x))``.

Cost for each element: negate, add 1 = 2 passes, one exp and one reciprocal.
"""

from __future__ import annotations

from typing import Any

from axsim.graph.elementwise import function
from axsim.kernels.array import Array


def _sigmoid(np: Any, x: Array) -> Array:
    one = x.dtype.type(1)
    with np.errstate(over="ignore"):  # exp may become infinite, which gives the right 0
        y: Array = one / (one + np.exp(-x))
    return y


SIGMOID = function("Sigmoid", _sigmoid, passes=2, transcendentals=2)
