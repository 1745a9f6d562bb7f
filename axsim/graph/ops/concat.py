"""Concat: join tensors along one axis. Cost: every output element is moved once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from axsim.graph.elementwise import moved
from axsim.graph.operator import Operator, Shape
from axsim.graph.shapes import positive_axis
from axsim.kernels.array import Array


def _shape(shapes: Sequence[Shape], attrs: Mapping[str, Any]) -> list[Shape]:
    first = shapes[0]
    axis = positive_axis(attrs["axis"], len(first))
    for other in shapes[1:]:
        if other[:axis] + other[axis + 1 :] != first[:axis] + first[axis + 1 :]:
            raise ValueError(f"Concat: {first} and {other} differ outside axis {axis}")
    return [(*first[:axis], sum(s[axis] for s in shapes), *first[axis + 1 :])]


def _kernel(*parts: Array, axis: int) -> tuple[Array]:
    import numpy as np

    return (np.concatenate(parts, axis=axis),)


CONCAT = Operator("Concat", _shape, moved, _kernel, role="join", noise="absolute")
