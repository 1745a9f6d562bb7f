"""RotaryEmbedding: rotate pairs of head channels by the position's angle.

Input [batch, heads, tokens, head_dim], or [batch, tokens, heads * head_dim] with ``num_heads``;
caches [positions, rotated / 2] with ``position_ids`` [batch, tokens], or gathered beforehand to
[batch, tokens, rotated / 2]. Pairs are (i, i + rotated / 2), or neighbours when ``interleaved``.

Cost for each rotated element: multiply by the cosine, multiply the partner by the sine, add = 3
passes; reading the partner is one move.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import Any

from axsim.graph.ir import Graph, Node
from axsim.graph.onnx_twin import OnnxWriter, integers
from axsim.graph.operator import Operator, Shape, Work
from axsim.kernels.array import Array


def _head_dim(x: Shape, attrs: Mapping[str, Any]) -> int:
    return x[3] if len(x) == 4 else x[2] // int(attrs["num_heads"])


def _shape(shapes: Sequence[Shape], attrs: Mapping[str, Any]) -> list[Shape]:
    x, cos, sin = shapes[:3]
    rotated = attrs.get("rotary_embedding_dim") or _head_dim(x, attrs)
    if cos != sin or cos[-1] * 2 != rotated:
        raise ValueError(f"RotaryEmbedding: caches {cos}, {sin} do not serve {rotated} channels")
    return [x]


def _work(inputs: Sequence[Shape], outputs: Sequence[Shape], attrs: Mapping[str, Any]) -> Work:
    x = inputs[0]
    head_dim = _head_dim(x, attrs)
    rotated = prod(x) // head_dim * (attrs.get("rotary_embedding_dim") or head_dim)
    return Work(passes=3 * rotated, moves=rotated)


def _kernel(
    x: Array,
    cos: Array,
    sin: Array,
    position_ids: Array | None = None,
    *,
    interleaved: int = 0,
    num_heads: int = 0,
    rotary_embedding_dim: int = 0,
) -> tuple[Array]:
    import numpy as np

    if position_ids is not None:
        cos, sin = cos[position_ids], sin[position_ids]
    # y: a copy laid out [batch, tokens, heads, head_dim].
    if x.ndim == 4:
        y = np.array(x.transpose(0, 2, 1, 3))
    else:
        y = np.array(x).reshape(*x.shape[:2], num_heads, -1)
    half = (rotary_embedding_dim or y.shape[3]) // 2
    first, second = slice(0, half), slice(half, 2 * half)
    if interleaved:
        first, second = slice(0, 2 * half, 2), slice(1, 2 * half, 2)
    cos, sin = cos[:, :, None, :], sin[:, :, None, :]
    a, b = y[..., first].copy(), y[..., second].copy()
    y[..., first] = a * cos - b * sin
    y[..., second] = b * cos + a * sin
    return (y.transpose(0, 2, 1, 3) if x.ndim == 4 else y.reshape(x.shape),)


def _onnx(w: OnnxWriter, graph: Graph, node: Node, x: Sequence[str], y: Sequence[str]) -> None:
    """Rows [1, T, heads * d] with cosines and sines [1, T, rotated / 2] of each row."""
    shape = graph.tensors[node.inputs[0]].shape
    if node.attrs.get("interleaved") or len(shape) != 3 or len(node.inputs) != 3:
        raise ValueError(f"graph {graph.name}: {node.name} is a rotation without translation")
    name, heads = node.name, int(node.attrs["num_heads"])
    d = shape[2] // heads
    rotated = int(node.attrs.get("rotary_embedding_dim") or d)
    half = rotated // 2
    view = integers(w, f"{name}/heads", [shape[0], shape[1], heads, d])
    split = w.node("Reshape", [x[0], view], f"{name}/view")
    sizes = [half, half] + ([d - rotated] if d > rotated else [])
    parts = [f"{name}/part{i}" for i in range(len(sizes))]
    w.node("Split", [split, integers(w, f"{name}/sizes", sizes)], parts, axis=3)
    table = integers(w, f"{name}/table", [shape[0], shape[1], 1, half])
    cos, sin = (
        w.node("Reshape", [t, table], f"{name}/{k}") for t, k in zip(x[1:], "cs", strict=True)
    )
    a, b = parts[:2]
    products = {
        key: w.node("Mul", operands, f"{name}/{key}")
        for key, operands in {
            "ac": [a, cos],
            "bs": [b, sin],
            "bc": [b, cos],
            "as": [a, sin],
        }.items()
    }
    first = w.node("Sub", [products["ac"], products["bs"]], f"{name}/first")
    second = w.node("Add", [products["bc"], products["as"]], f"{name}/second")
    joined = w.node("Concat", [first, second, *parts[2:]], f"{name}/joined", axis=3)
    w.node("Reshape", [joined, integers(w, f"{name}/rows", list(shape))], y)


ROTARY_EMBEDDING = Operator(
    "RotaryEmbedding", _shape, _work, _kernel, role="vector", shows="rope", onnx=_onnx
)
