"""Squeeze: leave out dimensions of size 1. A view, free of cost.

``axes`` are an attribute here (an input in ONNX from set 13 on); without them all such dimensions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from axsim.graph.elementwise import nothing
from axsim.graph.onnx_twin import with_inputs
from axsim.graph.operator import Operator, Shape
from axsim.graph.shapes import positive_axis
from axsim.kernels.array import Array


def _shape(shapes: Sequence[Shape], attrs: Mapping[str, Any]) -> list[Shape]:
    x, axes = shapes[0], attrs.get("axes")
    if axes is None:
        return [tuple(d for d in x if d != 1)]
    left_out = {positive_axis(axis, len(x)) for axis in axes}
    wide = [i for i in left_out if x[i] != 1]
    if wide:
        raise ValueError(f"Squeeze: dimension {wide[0]} of {x} is not 1")
    return [tuple(d for i, d in enumerate(x) if i not in left_out)]


def _kernel(x: Array, **attrs: Any) -> tuple[Array]:
    return (x.reshape(_shape([x.shape], attrs)[0]),)


SQUEEZE = Operator(
    "Squeeze", _shape, nothing, _kernel, role="view", static=("axes",), onnx=with_inputs("axes")
)
