"""Expand: broadcast to ``shape``, which broadcasts with the input's in turn.

``shape`` is an attribute here (an input in ONNX). Cost: every output element is moved once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from axsim.graph.elementwise import moved
from axsim.graph.onnx_twin import with_inputs
from axsim.graph.operator import Operator, Shape, always
from axsim.graph.shapes import broadcast
from axsim.kernels.array import Array


def _shape(shapes: Sequence[Shape], attrs: Mapping[str, Any]) -> list[Shape]:
    return [broadcast(shapes[0], tuple(attrs["shape"]))]


def _kernel(x: Array, **attrs: Any) -> tuple[Array]:
    import numpy as np

    return (np.broadcast_to(x, _shape([x.shape], attrs)[0]),)


EXPAND = Operator(
    "Expand",
    _shape,
    moved,
    _kernel,
    role="gather",
    shows="elementwise",
    selects=always,
    static=("shape",),
    onnx=with_inputs("shape"),
)
