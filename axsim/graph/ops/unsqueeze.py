"""Unsqueeze: put in dimensions of size 1, at ``axes`` of the result. A view, free of cost.

``axes`` are an attribute here (an input in ONNX from set 13 on).
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
    x, axes = shapes[0], attrs["axes"]
    rank = len(x) + len(axes)
    added = {positive_axis(axis, rank) for axis in axes}
    if len(added) != len(axes):
        raise ValueError(f"Unsqueeze: an axis of {tuple(axes)} is there twice")
    sizes = iter(x)
    return [tuple(1 if i in added else next(sizes) for i in range(rank))]


def _kernel(x: Array, **attrs: Any) -> tuple[Array]:
    return (x.reshape(_shape([x.shape], attrs)[0]),)


UNSQUEEZE = Operator(
    "Unsqueeze", _shape, nothing, _kernel, role="view", static=("axes",), onnx=with_inputs("axes")
)
