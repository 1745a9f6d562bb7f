"""ArgMin: where the smallest element along an axis is. Cost: one pass for each element."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import Any

from axsim.graph.operator import Operator, Shape, Work
from axsim.graph.shapes import positive_axis
from axsim.kernels.array import Array


def _shape(shapes: Sequence[Shape], attrs: Mapping[str, Any]) -> list[Shape]:
    x = shapes[0]
    axis = positive_axis(attrs.get("axis", 0), len(x))
    kept = (1,) if attrs.get("keepdims", 1) else ()
    return [(*x[:axis], *kept, *x[axis + 1 :])]


def _work(inputs: Sequence[Shape], outputs: Sequence[Shape], attrs: Mapping[str, Any]) -> Work:
    return Work(passes=prod(inputs[0]))


def _kernel(
    x: Array, *, axis: int = 0, keepdims: int = 1, select_last_index: int = 0
) -> tuple[Array]:
    import numpy as np

    y = np.argmin(np.flip(x, axis) if select_last_index else x, axis=axis)
    if select_last_index:
        y = x.shape[axis] - 1 - y
    y = y.astype(np.int64)
    return (np.expand_dims(y, axis) if keepdims else y,)


ARG_MIN = Operator("ArgMin", _shape, _work, _kernel, role="vector")
