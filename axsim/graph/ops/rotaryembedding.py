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

from axsim.graph.operator import Operator, Shape, Work, register
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


ROTARY_EMBEDDING = register(Operator("RotaryEmbedding", _shape, _work, _kernel))
