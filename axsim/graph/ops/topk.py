"""TopK: the ``k`` largest (or smallest) elements along an axis, in order, and their indices.

``k`` is an attribute here (an input in ONNX). Cost: every element is compared log2(k) + 1 times.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import ceil, log2, prod
from typing import Any

from axsim.graph.onnx_twin import with_inputs
from axsim.graph.operator import Operator, Shape, Work
from axsim.graph.shapes import positive_axis
from axsim.kernels.array import Array


def _count(attrs: Mapping[str, Any]) -> int:
    k = attrs["K"]
    return int(k if isinstance(k, int) else k[0])


def _shape(shapes: Sequence[Shape], attrs: Mapping[str, Any]) -> list[Shape]:
    x, k = shapes[0], _count(attrs)
    axis = positive_axis(attrs.get("axis", -1), len(x))
    if k > x[axis]:
        raise ValueError(f"TopK: {k} of {x[axis]} elements")
    return [(*x[:axis], k, *x[axis + 1 :])] * 2


def _work(inputs: Sequence[Shape], outputs: Sequence[Shape], attrs: Mapping[str, Any]) -> Work:
    return Work(passes=prod(inputs[0]) * (1 + ceil(log2(max(_count(attrs), 1)))))


def _kernel(x: Array, **attrs: Any) -> tuple[Array, Array]:
    import numpy as np

    axis = attrs.get("axis", -1)
    order = np.argsort(_descending(x) if attrs.get("largest", 1) else x, axis=axis, kind="stable")
    index = np.take(order, np.arange(_count(attrs)), axis=axis)
    return np.take_along_axis(x, index, axis=axis), index.astype(np.int64)


def _descending(x: Array) -> Array:
    """Numbers in the opposite order; ``~x`` is ``-x - 1``, which no integer overflows."""
    return -x if x.dtype.kind == "f" else ~x


TOP_K = Operator(
    "TopK", _shape, _work, _kernel, role="vector", static=("K",), onnx=with_inputs("K")
)
