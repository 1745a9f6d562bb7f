"""Gather: rows of ``data`` by index along one axis. Cost: every output element is moved once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from axsim.graph.elementwise import moved
from axsim.graph.operator import Operator, Shape, register
from axsim.graph.shapes import positive_axis
from axsim.kernels.array import Array


def _shape(shapes: Sequence[Shape], attrs: Mapping[str, Any]) -> list[Shape]:
    data, indices = shapes
    axis = positive_axis(attrs.get("axis", 0), len(data))
    return [data[:axis] + indices + data[axis + 1 :]]


def _kernel(data: Array, indices: Array, *, axis: int = 0) -> tuple[Array]:
    import numpy as np

    return (np.take(data, indices, axis=axis),)


GATHER = register(Operator("Gather", _shape, moved, _kernel))
