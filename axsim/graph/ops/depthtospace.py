"""DepthToSpace: channels become blocks of pixels, [N, C b², H, W] to [N, C, H b, W b]. A view."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from axsim.graph.elementwise import nothing
from axsim.graph.operator import Operator, Shape
from axsim.kernels.array import Array


def _shape(shapes: Sequence[Shape], attrs: Mapping[str, Any]) -> list[Shape]:
    (n, c, h, w), b = shapes[0], attrs["blocksize"]
    if c % (b * b):
        raise ValueError(f"DepthToSpace: {c} channels are no blocks of {b} by {b}")
    return [(n, c // (b * b), h * b, w * b)]


def _kernel(x: Array, *, blocksize: int, mode: str = "DCR") -> tuple[Array]:
    n, c, h, w = x.shape
    b = blocksize
    if mode == "DCR":
        parts = x.reshape(n, b, b, c // (b * b), h, w).transpose(0, 3, 4, 1, 5, 2)
    else:
        parts = x.reshape(n, c // (b * b), b, b, h, w).transpose(0, 1, 4, 2, 5, 3)
    return (parts.reshape(n, c // (b * b), h * b, w * b),)


DEPTH_TO_SPACE = Operator("DepthToSpace", _shape, nothing, _kernel, role="view")
