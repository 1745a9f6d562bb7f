"""GatherElements: one element for each index, along one axis. Cost: each is moved once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from axsim.graph.elementwise import moved
from axsim.graph.operator import Operator, Shape, always
from axsim.kernels.array import Array


def _shape(shapes: Sequence[Shape], attrs: Mapping[str, Any]) -> list[Shape]:
    return [shapes[1]]


def _kernel(data: Array, indices: Array, *, axis: int = 0) -> tuple[Array]:
    import numpy as np

    places = np.where(indices < 0, indices + data.shape[axis], indices)
    return (np.take_along_axis(data, places, axis=axis),)


GATHER_ELEMENTS = Operator(
    "GatherElements",
    _shape,
    moved,
    _kernel,
    role="gather",
    shows="elementwise",
    selects=always,
)
