"""RMSNormalization: divide by the root of the mean square, scale.

Cost for each element: square, sum, multiply by the inverse root, multiply by the scale = 4 passes;
for each row one rsqrt.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import Any

from axsim.graph.elementwise import flat
from axsim.graph.ir import Graph, Node
from axsim.graph.onnx_twin import OnnxWriter, integers, number
from axsim.graph.operator import Operator, Shape, Work
from axsim.graph.shapes import broadcast, positive_axis
from axsim.kernels.array import Array


def _shape(shapes: Sequence[Shape], attrs: Mapping[str, Any]) -> list[Shape]:
    x, scale = shapes
    positive_axis(attrs.get("axis", -1), len(x))
    if broadcast(x, scale) != x:
        raise ValueError(f"RMSNormalization: scale {scale} does not broadcast to {x}")
    return [x]


def _work(inputs: Sequence[Shape], outputs: Sequence[Shape], attrs: Mapping[str, Any]) -> Work:
    x = inputs[0]
    axis = positive_axis(attrs.get("axis", -1), len(x))
    return Work(passes=4 * prod(x), transcendentals=prod(x[:axis]))


def _kernel(
    x: Array, scale: Array, *, axis: int = -1, epsilon: float = 1e-5, stash_type: int = 1
) -> tuple[Array]:
    from axsim.kernels.rowwise import rms_norm

    normalised = x.shape[axis % x.ndim :]
    y = rms_norm(x.reshape(-1, prod(normalised)), flat(scale, normalised), epsilon)
    return (y.reshape(x.shape),)


def _onnx(w: OnnxWriter, graph: Graph, node: Node, x: Sequence[str], y: Sequence[str]) -> None:
    name, rank = node.name, len(graph.tensors[node.inputs[0]].shape)
    first = int(node.attrs.get("axis", -1)) % rank
    axes = integers(w, f"{name}/axes", list(range(first, rank)))
    square = w.node("Mul", [x[0], x[0]], f"{name}/square")
    mean = w.node("ReduceMean", [square, axes], f"{name}/mean", keepdims=1)
    epsilon = number(w, float(node.attrs.get("epsilon", 1e-5)))
    root = w.node("Sqrt", [w.node("Add", [mean, epsilon], f"{name}/biased")], f"{name}/root")
    normal = w.node("Div", [x[0], root], f"{name}/normal")
    w.node("Mul", [normal, x[1]], y)


RMS_NORMALIZATION = Operator("RMSNormalization", _shape, _work, _kernel, role="norm", onnx=_onnx)
