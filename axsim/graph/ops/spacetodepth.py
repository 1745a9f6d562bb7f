"""SpaceToDepth: blocks of pixels become channels, [N, C, H b, W b] to [N, C b², H, W]. A view."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from axsim.graph.elementwise import nothing
from axsim.graph.operator import Operator, Shape
from axsim.kernels.array import Array


def _shape(shapes: Sequence[Shape], attrs: Mapping[str, Any]) -> list[Shape]:
    (n, c, h, w), b = shapes[0], attrs["blocksize"]
    if h % b or w % b:
        raise ValueError(f"SpaceToDepth: {h} by {w} pixels are no blocks of {b} by {b}")
    return [(n, c * b * b, h // b, w // b)]


def _kernel(x: Array, *, blocksize: int, mode: str = "DCR") -> tuple[Array]:
    n, c, h, w = x.shape
    b = blocksize
    parts = x.reshape(n, c, h // b, b, w // b, b)
    parts = (
        parts.transpose(0, 3, 5, 1, 2, 4) if mode == "DCR" else parts.transpose(0, 1, 3, 5, 2, 4)
    )
    return (parts.reshape(n, c * b * b, h // b, w // b),)


SPACE_TO_DEPTH = Operator("SpaceToDepth", _shape, nothing, _kernel, role="view")
