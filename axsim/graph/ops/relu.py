"""Relu: ``max(x, 0)``. Cost: one pass."""

from __future__ import annotations

from axsim.graph.elementwise import function

RELU = function(
    "Relu", lambda np, x: np.maximum(x, x.dtype.type(0)), limits=lambda attrs: (0.0, None)
)
