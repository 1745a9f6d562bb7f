"""Swish (SiLU): ``x * sigmoid(alpha * x)``.

Cost for each element: negate, add 1, multiply = 3 passes, one exp and one reciprocal.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import Any

from axsim.graph.elementwise import shape
from axsim.graph.ir import Graph, Node
from axsim.graph.onnx_twin import OnnxWriter, number
from axsim.graph.operator import Operator, Shape, Work
from axsim.kernels.array import Array


def _work(inputs: Sequence[Shape], outputs: Sequence[Shape], attrs: Mapping[str, Any]) -> Work:
    elements = prod(inputs[0])
    return Work(passes=3 * elements, transcendentals=2 * elements)


def _gate(attrs: Mapping[str, Any]) -> tuple[float, ...]:
    from axsim.kernels.gates import SWISH

    return (attrs.get("alpha", 1.0) * SWISH[0],)


def _kernel(x: Array, **attrs: Any) -> tuple[Array]:
    from axsim.kernels.gates import activation

    return (activation(x, _gate(attrs)),)


def _onnx(w: OnnxWriter, graph: Graph, node: Node, x: Sequence[str], y: Sequence[str]) -> None:
    alpha, inner = float(node.attrs.get("alpha", 1.0)), x[0]
    if alpha != 1.0:
        inner = w.node("Mul", [inner, number(w, alpha)], f"{node.name}/scaled")
    gate = w.node("Sigmoid", [inner], f"{node.name}/sigmoid")
    w.node("Mul", [x[0], gate], y)


SWISH = Operator("Swish", shape, _work, _kernel, role="function", gate=_gate, onnx=_onnx)
