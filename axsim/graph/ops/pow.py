"""Pow: ``x`` to the power ``y``.

Cost for each element: squares, cubes and roots as products would be cheaper; in general one log,
one product and one exp.
"""

from __future__ import annotations

from typing import Any

from axsim.graph.elementwise import broadcasting
from axsim.kernels.array import Array


def _pow(np: Any, x: Array, y: Array) -> Array:
    if y.size == 1 and x.dtype.kind == "f":
        exponent = float(y.reshape(()))
        shape = np.broadcast_shapes(x.shape, y.shape)
        if exponent in (2, 0.5):  # common, and dear in general
            root_or_square: Array = x * x if exponent == 2 else np.sqrt(x)
            spread: Array = root_or_square.reshape(shape)
            return spread
    with np.errstate(invalid="ignore"):
        power: Array = np.power(x, y).astype(x.dtype)
    return power


POW = broadcasting("Pow", _pow, transcendentals=2)
