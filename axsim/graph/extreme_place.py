"""Where the largest or smallest element along an axis is: what ArgMax and ArgMin share."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import prod
from typing import Any

from axsim.graph.operator import Operator, Shape, Work
from axsim.graph.shapes import positive_axis
from axsim.kernels.array import Array


def extreme_place(name: str, find: Callable[[Any, Array, int], Array]) -> Operator:
    """The operator ``y = find(numpy, x, axis)``, which counts from the first element or, with
    ``select_last_index``, takes the last one of equals. Cost: one pass for each element."""

    def kernel(
        x: Array, *, axis: int = 0, keepdims: int = 1, select_last_index: int = 0
    ) -> tuple[Array]:
        import numpy as np

        y = find(np, np.flip(x, axis) if select_last_index else x, axis)
        if select_last_index:
            y = x.shape[axis] - 1 - y
        y = y.astype(np.int64)
        return (np.expand_dims(y, axis) if keepdims else y,)

    return Operator(name, _shape, _work, kernel, role="vector")


def _shape(shapes: Sequence[Shape], attrs: Mapping[str, Any]) -> list[Shape]:
    x = shapes[0]
    axis = positive_axis(attrs.get("axis", 0), len(x))
    kept = (1,) if attrs.get("keepdims", 1) else ()
    return [(*x[:axis], *kept, *x[axis + 1 :])]


def _work(inputs: Sequence[Shape], outputs: Sequence[Shape], attrs: Mapping[str, Any]) -> Work:
    return Work(passes=prod(inputs[0]))
