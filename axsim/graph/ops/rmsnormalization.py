"""RMSNormalization: divide by the root of the mean square, scale.

Cost for each element: square, sum, multiply by the inverse root, multiply by the scale = 4 passes;
for each row one rsqrt.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import Any

from axsim.graph.elementwise import flat
from axsim.graph.operator import Operator, Shape, Work, register
from axsim.graph.shapes import broadcast, positive_axis
from axsim.kernels.array import Array


def _shape(shapes: Sequence[Shape], attrs: Mapping[str, Any]) -> list[Shape]:
    x, scale = shapes
    positive_axis(attrs.get("axis", -1), len(x))
    if broadcast(x, scale) != x:
        raise ValueError(f"RMSNormalization: scale {scale} does not broadcast to {x}")
    return [x]


def _work(inputs: Sequence[Shape], outputs: Sequence[Shape], attrs: Mapping[str, Any]) -> Work:
    x = inputs[0]
    axis = positive_axis(attrs.get("axis", -1), len(x))
    return Work(passes=4 * prod(x), transcendentals=prod(x[:axis]))


def _kernel(
    x: Array, scale: Array, *, axis: int = -1, epsilon: float = 1e-5, stash_type: int = 1
) -> tuple[Array]:
    from axsim.kernels.rowwise import rms_norm

    normalised = x.shape[axis % x.ndim :]
    y = rms_norm(x.reshape(-1, prod(normalised)), flat(scale, normalised), epsilon)
    return (y.reshape(x.shape),)


RMS_NORMALIZATION = register(Operator("RMSNormalization", _shape, _work, _kernel))
