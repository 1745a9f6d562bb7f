"""LRN: each element over a power of the squares of its neighbours in the channels.

Cost for each element: square, the sum over ``size`` channels, scale, shift, divide; one log and one
exp of the power.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import Any

from axsim.graph.elementwise import shape
from axsim.graph.operator import Operator, Shape, Work
from axsim.kernels.array import Array


def _work(inputs: Sequence[Shape], outputs: Sequence[Shape], attrs: Mapping[str, Any]) -> Work:
    if attrs["size"] < 1:
        raise ValueError(f"a sum over {attrs['size']} channels")
    elements = prod(inputs[0])
    return Work(passes=(4 + attrs["size"]) * elements, transcendentals=2 * elements)


def _kernel(
    x: Array, *, size: int, alpha: float = 1e-4, beta: float = 0.75, bias: float = 1.0
) -> tuple[Array]:
    import numpy as np

    before = (size - 1) // 2
    ends = [(0, 0), (before, size - 1 - before), *[(0, 0)] * (x.ndim - 2)]
    squares = np.pad(x * x, ends)
    total = sum(squares[:, i : i + x.shape[1]] for i in range(size))
    number = x.dtype.type
    return (x / (number(bias) + number(alpha / size) * total) ** number(beta),)


LRN = Operator("LRN", shape, _work, _kernel, role="vector", shows="norm")
