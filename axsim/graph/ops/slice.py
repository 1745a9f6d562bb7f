"""Slice: a strided part of a tensor. Cost: every output element is moved once.

``starts``, ``ends``, ``axes`` and ``steps`` are attributes here (inputs in ONNX).
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


def _slices(
    shape: Shape,
    starts: Sequence[int],
    ends: Sequence[int],
    axes: Sequence[int] | None,
    steps: Sequence[int] | None,
) -> list[slice]:
    out = [slice(0, d, 1) for d in shape]
    axes = range(len(starts)) if axes is None else axes
    steps = [1] * len(starts) if steps is None else steps
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        size = shape[positive_axis(axis, len(shape))]
        low, high = (0, size) if step > 0 else (-1, size - 1)
        start = min(max(start + size if start < 0 else start, max(low, 0)), high)
        end = min(max(end + size if end < 0 else end, low), size)
        out[axis] = slice(start, None if end < 0 else end, step)
    return out


def _shape(shapes: Sequence[Shape], attrs: Mapping[str, Any]) -> list[Shape]:
    x = shapes[0]
    parts = _slices(x, attrs["starts"], attrs["ends"], attrs.get("axes"), attrs.get("steps"))
    return [tuple(len(range(*s.indices(d))) for s, d in zip(parts, x, strict=True))]


def _kernel(
    x: Array,
    *,
    starts: Sequence[int],
    ends: Sequence[int],
    axes: Sequence[int] | None = None,
    steps: Sequence[int] | None = None,
) -> tuple[Array]:
    return (x[tuple(_slices(x.shape, starts, ends, axes, steps))],)


def _onnx(w: OnnxWriter, graph: Graph, node: Node, x: Sequence[str], y: Sequence[str]) -> None:
    count = len(node.attrs["starts"])
    parts = {"starts": node.attrs["starts"], "ends": node.attrs["ends"]}
    parts["axes"] = node.attrs.get("axes") or range(count)
    parts["steps"] = node.attrs.get("steps") or [1] * count
    names = [integers(w, f"{node.name}/{key}", list(part)) for key, part in parts.items()]
    w.node("Slice", [x[0], *names], y)


SLICE = Operator(
    "Slice",
    _shape,
    moved,
    _kernel,
    role="view",
    static=("starts", "ends", "axes", "steps"),
    onnx=_onnx,
)
