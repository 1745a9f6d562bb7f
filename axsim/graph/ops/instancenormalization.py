"""InstanceNormalization: each channel of each image to mean 0 and variance 1, scaled and shifted.

Cost for each element: sum, subtract, square, sum of squares, multiply, scale, shift = 7 passes; for
each channel one rsqrt.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import Any

from axsim.graph.operator import Operator, Shape, Work
from axsim.kernels.array import Array


def _shape(shapes: Sequence[Shape], attrs: Mapping[str, Any]) -> list[Shape]:
    x = shapes[0]
    if any(s != (x[1],) for s in shapes[1:]):
        raise ValueError(f"InstanceNormalization: {shapes[1:]} do not fit {x[1]} channels")
    return [x]


def _work(inputs: Sequence[Shape], outputs: Sequence[Shape], attrs: Mapping[str, Any]) -> Work:
    return Work(passes=7 * prod(inputs[0]), transcendentals=prod(inputs[0][:2]))


def _kernel(x: Array, scale: Array, bias: Array, *, epsilon: float = 1e-5) -> tuple[Array]:
    from axsim.kernels.rowwise import group_norm

    return (group_norm(x, x.shape[1], scale, bias, epsilon),)


INSTANCE_NORMALIZATION = Operator("InstanceNormalization", _shape, _work, _kernel, role="norm")
