"""Gather: rows of ``data`` by index along one axis. Cost: every output element is moved once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from axsim.graph.elementwise import moved
from axsim.graph.ir import Graph, Node
from axsim.graph.onnx_twin import ELEMENT, OnnxWriter
from axsim.graph.operator import Operator, Shape
from axsim.graph.shapes import positive_axis
from axsim.kernels.array import Array


def _shape(shapes: Sequence[Shape], attrs: Mapping[str, Any]) -> list[Shape]:
    data, indices = shapes
    axis = positive_axis(attrs.get("axis", 0), len(data))
    return [data[:axis] + indices + data[axis + 1 :]]


def _kernel(data: Array, indices: Array, *, axis: int = 0) -> tuple[Array]:
    import numpy as np

    return (np.take(data, indices, axis=axis),)


def _onnx(w: OnnxWriter, graph: Graph, node: Node, x: Sequence[str], y: Sequence[str]) -> None:
    index = w.node("Cast", [x[1]], f"{node.name}/index", to=ELEMENT["s64"])
    w.node("Gather", [x[0], index], y, axis=int(node.attrs.get("axis", 0)))


GATHER = Operator("Gather", _shape, moved, _kernel, role="gather", shows="rope", onnx=_onnx)
