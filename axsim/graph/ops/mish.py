"""Mish: ``x * tanh(ln(exp(x) + 1))``.

Cost for each element: add, multiply = 2 passes, one exp, one log and one tanh.
"""

from __future__ import annotations

from typing import Any

from axsim.graph.elementwise import function
from axsim.kernels.array import Array


def _mish(np: Any, x: Array) -> Array:
    y: Array = x * np.tanh(np.logaddexp(x, x.dtype.type(0)))
    return y


MISH = function("Mish", _mish, passes=2, transcendentals=3)
