"""Split: cut a tensor along one axis. Cost: every element is moved once.

``split`` (the parts' sizes) is an attribute here (an input in ONNX); ``num_outputs`` asks for equal
parts, the last one smaller if need be.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from axsim.graph.elementwise import moved
from axsim.graph.ir import Graph, Node
from axsim.graph.onnx_twin import OnnxWriter, integers
from axsim.graph.operator import Operator, Shape
from axsim.graph.shapes import positive_axis
from axsim.kernels.array import Array


def _sizes(size: int, split: Sequence[int] | None, num_outputs: int | None) -> list[int]:
    if split is not None:
        sizes = [int(s) for s in split]
    elif num_outputs:
        part = -(-size // num_outputs)
        sizes = [min(part, size - i * part) for i in range(num_outputs)]
    else:
        raise ValueError("Split needs split or num_outputs")
    if sum(sizes) != size or min(sizes) < 0:
        raise ValueError(f"Split: parts {sizes} do not make up {size}")
    return sizes


def _shape(shapes: Sequence[Shape], attrs: Mapping[str, Any]) -> list[Shape]:
    x = shapes[0]
    axis = positive_axis(attrs.get("axis", 0), len(x))
    sizes = _sizes(x[axis], attrs.get("split"), attrs.get("num_outputs"))
    return [(*x[:axis], s, *x[axis + 1 :]) for s in sizes]


def _kernel(
    x: Array, *, axis: int = 0, split: Sequence[int] | None = None, num_outputs: int | None = None
) -> tuple[Array, ...]:
    import numpy as np

    sizes = _sizes(x.shape[axis], split, num_outputs)
    return tuple(np.split(x, np.cumsum(sizes)[:-1], axis=axis))


def _onnx(w: OnnxWriter, graph: Graph, node: Node, x: Sequence[str], y: Sequence[str]) -> None:
    axis = int(node.attrs.get("axis", 0))
    sizes = [graph.tensors[name].shape[axis] for name in node.outputs]
    w.node("Split", [x[0], integers(w, f"{node.name}/split", sizes)], y, axis=axis)


SPLIT = Operator("Split", _shape, moved, _kernel, role="view", static=("split",), onnx=_onnx)
