"""Flatten: a matrix with the dimensions before ``axis`` as rows. A view, free of cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import Any

from axsim.graph.elementwise import nothing
from axsim.graph.operator import Operator, Shape
from axsim.kernels.array import Array


def _shape(shapes: Sequence[Shape], attrs: Mapping[str, Any]) -> list[Shape]:
    x, axis = shapes[0], attrs.get("axis", 1)
    if not -len(x) <= axis <= len(x):
        raise ValueError(f"axis {axis} is outside a tensor of rank {len(x)}")
    axis += len(x) if axis < 0 else 0
    return [(prod(x[:axis]), prod(x[axis:]))]


def _kernel(x: Array, **attrs: Any) -> tuple[Array]:
    return (x.reshape(_shape([x.shape], attrs)[0]),)


FLATTEN = Operator("Flatten", _shape, nothing, _kernel, role="view")
