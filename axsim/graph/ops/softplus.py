"""Softplus: ``ln(exp(x) + 1)``. Cost for each element: one pass, one exp and one log."""

from __future__ import annotations

from typing import Any

from axsim.graph.elementwise import function
from axsim.kernels.array import Array


def _softplus(np: Any, x: Array) -> Array:
    y: Array = np.logaddexp(x, x.dtype.type(0))
    return y


SOFTPLUS = function("Softplus", _softplus, transcendentals=2)
