"""Transpose: permute the dimensions. Cost: every element is moved once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from axsim.graph.elementwise import moved
from axsim.graph.operator import Operator, Shape
from axsim.kernels.array import Array


def _shape(shapes: Sequence[Shape], attrs: Mapping[str, Any]) -> list[Shape]:
    x = shapes[0]
    perm = attrs.get("perm") or range(len(x))[::-1]
    if sorted(perm) != list(range(len(x))):
        raise ValueError(f"Transpose: {tuple(perm)} is no permutation of {len(x)} dimensions")
    return [tuple(x[p] for p in perm)]


def _kernel(x: Array, *, perm: Sequence[int] | None = None) -> tuple[Array]:
    return (x.transpose(perm),)


TRANSPOSE = Operator("Transpose", _shape, moved, _kernel, role="view")
