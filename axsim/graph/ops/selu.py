"""Selu: ``gamma * Elu(x)`` with constants that keep mean 0 and variance 1.

The defaults are those of the ONNX specification. Cost for each element: subtract, two multiplies,
select = 4 passes and one exp.
"""

from __future__ import annotations

from typing import Any

from axsim.graph.elementwise import function
from axsim.kernels.array import Array


def _selu(
    np: Any,
    x: Array,
    alpha: float = 1.67326319217681884765625,
    gamma: float = 1.05070102214813232421875,
) -> Array:
    number = x.dtype.type
    y: Array = np.where(
        x < 0, number(gamma * alpha) * np.expm1(np.minimum(x, 0)), number(gamma) * x
    )
    return y


SELU = function("Selu", _selu, passes=4, transcendentals=1)
