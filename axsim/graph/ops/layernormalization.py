"""LayerNormalization: subtract the mean, divide by the standard deviation, scale and shift.

Cost for each element: sum, subtract, square, sum of squares, multiply by the inverse deviation,
multiply by the scale, add the bias = 7 passes (6 without bias); for each row one rsqrt.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import Any

from axsim.graph.elementwise import flat
from axsim.graph.operator import Operator, Shape, Work
from axsim.graph.shapes import broadcast, positive_axis
from axsim.kernels.array import Array


def _shape(shapes: Sequence[Shape], attrs: Mapping[str, Any]) -> list[Shape]:
    x = shapes[0]
    axis = positive_axis(attrs.get("axis", -1), len(x))
    if broadcast(x, *shapes[1:]) != x:
        raise ValueError(f"LayerNormalization: {shapes[1:]} do not broadcast to {x}")
    reduced = x[:axis] + (1,) * (len(x) - axis)
    return [x, reduced, reduced]


def _work(inputs: Sequence[Shape], outputs: Sequence[Shape], attrs: Mapping[str, Any]) -> Work:
    x = inputs[0]
    axis = positive_axis(attrs.get("axis", -1), len(x))
    return Work(passes=(7 if len(inputs) > 2 else 6) * prod(x), transcendentals=prod(x[:axis]))


def _kernel(
    x: Array,
    scale: Array,
    bias: Array | None = None,
    *,
    axis: int = -1,
    epsilon: float = 1e-5,
    stash_type: int = 1,
) -> tuple[Array, Array, Array]:
    from axsim.kernels.rowwise import layer_norm

    axis %= x.ndim
    width = prod(x.shape[axis:])
    reduced = x.shape[:axis] + (1,) * (x.ndim - axis)
    y, mean, inverse = layer_norm(
        x.reshape(-1, width),
        flat(scale, x.shape[axis:]),
        None if bias is None else flat(bias, x.shape[axis:]),
        epsilon,
    )
    return y.reshape(x.shape), mean.reshape(reduced), inverse.reshape(reduced)


LAYER_NORMALIZATION = Operator("LayerNormalization", _shape, _work, _kernel, role="norm")
