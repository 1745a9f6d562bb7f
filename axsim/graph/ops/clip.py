"""Clip: limit to ``[min, max]``, either of which may be absent.

The limits are attributes here (inputs in ONNX from set 11 on). Cost: one pass for each limit.
"""

from __future__ import annotations

from typing import Any

from axsim.graph.elementwise import function
from axsim.graph.onnx_twin import with_inputs
from axsim.kernels.array import Array


def _clip(np: Any, x: Array, min: float | None = None, max: float | None = None) -> Array:
    if min is not None:
        x = np.maximum(x, x.dtype.type(min))
    return x if max is None else np.minimum(x, x.dtype.type(max))


CLIP = function(
    "Clip",
    _clip,
    passes=2,
    limits=lambda attrs: (attrs.get("min"), attrs.get("max")),
    static=("min", "max"),
    onnx=with_inputs("min", "max"),
)
