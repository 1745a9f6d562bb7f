"""GroupNormalization: each group of channels to mean 0 and variance 1, scaled and shifted.

Scale and bias are given for each channel (operator set 21) or for each group (set 18). Cost for
each element: 7 passes; for each group one rsqrt.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import Any

from axsim.graph.operator import Operator, Shape, Work
from axsim.kernels.array import Array


def _shape(shapes: Sequence[Shape], attrs: Mapping[str, Any]) -> list[Shape]:
    x, groups = shapes[0], attrs["num_groups"]
    if x[1] % groups or any(s not in ((x[1],), (groups,)) for s in shapes[1:]):
        raise ValueError(
            f"GroupNormalization: {groups} groups and {shapes[1:]} do not fit {x[1]} channels"
        )
    return [x]


def _work(inputs: Sequence[Shape], outputs: Sequence[Shape], attrs: Mapping[str, Any]) -> Work:
    rows = inputs[0][0] * attrs["num_groups"]
    return Work(passes=7 * prod(inputs[0]), transcendentals=rows)


def _kernel(
    x: Array,
    scale: Array,
    bias: Array,
    *,
    num_groups: int,
    epsilon: float = 1e-5,
    stash_type: int = 1,
) -> tuple[Array]:
    from axsim.kernels.rowwise import group_norm

    return (group_norm(x, num_groups, scale, bias, epsilon),)


GROUP_NORMALIZATION = Operator("GroupNormalization", _shape, _work, _kernel, role="norm", onnx=None)
