"""Softsign: ``x / (1 + |x|)``. Cost for each element: three passes and one reciprocal."""

from __future__ import annotations

from typing import Any

from axsim.graph.elementwise import function
from axsim.kernels.array import Array


def _softsign(np: Any, x: Array) -> Array:
    y: Array = x / (x.dtype.type(1) + np.abs(x))
    return y


SOFTSIGN = function("Softsign", _softsign, passes=3, transcendentals=1)
