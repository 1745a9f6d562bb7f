"""BatchNormalization: the scale and shift that training left behind, for each channel.

Cost: one multiply and one add for each element = 2 passes, since the statistics are constants.
Training mode (statistics of the batch) has no place in deployment and is refused.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import Any

from axsim.graph.operator import Operator, Shape, Work
from axsim.kernels.array import Array


def _shape(shapes: Sequence[Shape], attrs: Mapping[str, Any]) -> list[Shape]:
    if attrs.get("training_mode"):
        raise ValueError("BatchNormalization in training mode; export the network for inference")
    channels = shapes[0][1] if len(shapes[0]) > 1 else 1
    if any(s != (channels,) for s in shapes[1:]):
        raise ValueError(f"BatchNormalization: {shapes[1:]} do not fit {channels} channels")
    return [shapes[0]]


def _work(inputs: Sequence[Shape], outputs: Sequence[Shape], attrs: Mapping[str, Any]) -> Work:
    return Work(passes=2 * prod(inputs[0]))


def affine(
    scale: Array, bias: Array, mean: Array, variance: Array, epsilon: float = 1e-5
) -> tuple[Array, Array]:
    """Factor and shift of each channel: ``y = x * factor + shift``, computed in float64."""
    import numpy as np

    factor = scale.astype(np.float64) / np.sqrt(variance.astype(np.float64) + epsilon)
    return factor, bias - mean * factor


def _kernel(
    x: Array, scale: Array, bias: Array, mean: Array, variance: Array, **attrs: Any
) -> tuple[Array]:
    factor, shift = affine(scale, bias, mean, variance, attrs.get("epsilon", 1e-5))
    spread = (-1, *[1] * (x.ndim - 2))
    y = x * factor.astype(x.dtype).reshape(spread)
    y += shift.astype(x.dtype).reshape(spread)
    return (y,)


BATCH_NORMALIZATION = Operator(
    "BatchNormalization", _shape, _work, _kernel, role="elementwise", shows="norm"
)
