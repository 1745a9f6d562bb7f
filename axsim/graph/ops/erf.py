"""Erf: the Gauss error function. Cost for each element: one erf."""

from __future__ import annotations

from typing import Any

from axsim.graph.elementwise import function
from axsim.kernels.array import Array


def _erf(np: Any, x: Array) -> Array:
    from axsim.kernels.error_function import erf

    return erf(x)


ERF = function("Erf", _erf, passes=0, transcendentals=1)
