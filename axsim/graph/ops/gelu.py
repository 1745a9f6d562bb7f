"""Gelu: ``x * (1 + erf(x / sqrt(2))) / 2``, or its tanh approximation.

Cost for each element: erf form: scale, add 1, multiply by x, halve = 4 passes and one erf; tanh
form: square, times x, times 0.044715, add x, scale, add 1, multiply by x, halve = 8 passes and one
tanh.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import pi, prod, sqrt
from typing import Any

from axsim.graph.elementwise import shape
from axsim.graph.ir import Graph, Node
from axsim.graph.onnx_twin import OnnxWriter, number
from axsim.graph.operator import Operator, Shape, Work
from axsim.kernels.array import Array


def _work(inputs: Sequence[Shape], outputs: Sequence[Shape], attrs: Mapping[str, Any]) -> Work:
    elements = prod(inputs[0])
    passes = 8 if attrs.get("approximate", "none") == "tanh" else 4
    return Work(passes=passes * elements, transcendentals=elements)


def _gate(attrs: Mapping[str, Any]) -> tuple[float, ...]:
    from axsim.kernels.gates import GELU, GELU_TANH

    return GELU_TANH if attrs.get("approximate", "none") == "tanh" else GELU


def _kernel(x: Array, **attrs: Any) -> tuple[Array]:
    from axsim.kernels.gates import activation

    return (activation(x, _gate(attrs)),)


def _onnx(w: OnnxWriter, graph: Graph, node: Node, x: Sequence[str], y: Sequence[str]) -> None:
    name, one, half = node.name, number(w, 1.0), number(w, 0.5)
    if node.attrs.get("approximate", "none") == "tanh":
        square = w.node("Mul", [x[0], x[0]], f"{name}/square")
        cube = w.node("Mul", [square, x[0]], f"{name}/cube")
        cube = w.node("Mul", [cube, number(w, 0.044715)], f"{name}/part")
        inner = w.node("Add", [x[0], cube], f"{name}/sum")
        inner = w.node("Mul", [inner, number(w, sqrt(2 / pi))], f"{name}/inner")
        inner = w.node("Tanh", [inner], f"{name}/tanh")
    else:
        inner = w.node("Div", [x[0], number(w, sqrt(2.0))], f"{name}/inner")
        inner = w.node("Erf", [inner], f"{name}/erf")
    twice = w.node("Add", [inner, one], f"{name}/twice")
    product = w.node("Mul", [x[0], twice], f"{name}/product")
    w.node("Mul", [product, half], y)


GELU = Operator("Gelu", shape, _work, _kernel, role="function", gate=_gate, onnx=_onnx)
