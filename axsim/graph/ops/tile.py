"""Tile: the tensor repeated along each dimension.

``repeats`` are an attribute here (an input in ONNX). Cost: every output element is moved once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from axsim.graph.elementwise import moved
from axsim.graph.onnx_twin import with_inputs
from axsim.graph.operator import Operator, Shape, always
from axsim.kernels.array import Array


def _shape(shapes: Sequence[Shape], attrs: Mapping[str, Any]) -> list[Shape]:
    return [tuple(d * n for d, n in zip(shapes[0], attrs["repeats"], strict=True))]


def _kernel(x: Array, *, repeats: Sequence[int]) -> tuple[Array]:
    import numpy as np

    return (np.tile(x, repeats),)


TILE = Operator(
    "Tile",
    _shape,
    moved,
    _kernel,
    role="gather",
    shows="elementwise",
    selects=always,
    static=("repeats",),
    onnx=with_inputs("repeats"),
)
