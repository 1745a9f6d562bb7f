"""LeakyRelu: ``x`` where positive, ``alpha * x`` elsewhere.

Cost for each element: multiply, select = 2 passes.
"""

from __future__ import annotations

from typing import Any

from axsim.graph.elementwise import function
from axsim.kernels.array import Array


def _leaky_relu(np: Any, x: Array, alpha: float = 0.01) -> Array:
    y: Array = np.where(x < 0, x * x.dtype.type(alpha), x)
    return y


LEAKY_RELU = function("LeakyRelu", _leaky_relu, passes=2)
