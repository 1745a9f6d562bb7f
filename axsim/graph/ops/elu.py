"""Elu: ``x`` where positive, ``alpha * (exp(x) - 1)`` elsewhere.

Cost for each element: subtract, multiply, select = 3 passes and one exp.
"""

from __future__ import annotations

from typing import Any

from axsim.graph.elementwise import function
from axsim.kernels.array import Array


def _elu(np: Any, x: Array, alpha: float = 1.0) -> Array:
    y: Array = np.where(x < 0, x.dtype.type(alpha) * np.expm1(np.minimum(x, 0)), x)
    return y


ELU = function("Elu", _elu, passes=3, transcendentals=1)
