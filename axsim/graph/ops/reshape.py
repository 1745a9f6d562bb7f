"""Reshape: another view of the same elements, free of cost.

The target ``shape`` is an attribute here (an input in ONNX): shapes are static.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from axsim.graph.ir import Graph, Node
from axsim.graph.onnx_twin import OnnxWriter, integers
from axsim.graph.operator import Operator, Shape, Work
from axsim.graph.shapes import reshaped
from axsim.kernels.array import Array


def _shape(shapes: Sequence[Shape], attrs: Mapping[str, Any]) -> list[Shape]:
    return [reshaped(shapes[0], attrs["shape"], attrs.get("allowzero", 0))]


def _work(inputs: Sequence[Shape], outputs: Sequence[Shape], attrs: Mapping[str, Any]) -> Work:
    return Work()


def _kernel(x: Array, *, shape: Sequence[int], allowzero: int = 0) -> tuple[Array]:
    return (x.reshape(reshaped(x.shape, shape, allowzero)),)


def _onnx(w: OnnxWriter, graph: Graph, node: Node, x: Sequence[str], y: Sequence[str]) -> None:
    shape = integers(w, f"{node.name}/shape", graph.tensors[node.outputs[0]].shape)
    w.node("Reshape", [x[0], shape], y)


RESHAPE = Operator("Reshape", _shape, _work, _kernel, role="view", static=("shape",), onnx=_onnx)
