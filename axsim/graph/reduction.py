"""Reductions along axes: what their operators share."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import prod
from typing import Any

from axsim.graph.onnx_twin import with_inputs
from axsim.graph.operator import Operator, Shape, Work
from axsim.graph.shapes import positive_axis
from axsim.kernels.array import Array


def reduction(
    name: str,
    compute: Callable[[Any, Array, tuple[int, ...], bool], Array],
    *,
    passes: int = 1,
    transcendentals: int = 0,
    **about: Any,
) -> Operator:
    """The operator ``y = compute(numpy, x, axes, keepdims)``.

    ``axes`` are an attribute here (in ONNX an input in newer operator sets); none means all,
    or no reduction at all with ``noop_with_empty_axes``. Cost: ``passes`` for each element of ``x``
    and ``transcendentals`` for each of ``y``.
    """

    def work(inputs: Sequence[Shape], outputs: Sequence[Shape], attrs: Mapping[str, Any]) -> Work:
        return Work(
            passes=passes * prod(inputs[0]), transcendentals=transcendentals * prod(outputs[0])
        )

    def kernel(x: Array, **attrs: Any) -> tuple[Array]:
        import numpy as np

        axes = _axes(x.ndim, attrs)
        y = np.asarray(compute(np, x, axes, bool(attrs.get("keepdims", 1))))
        return (y.astype(x.dtype, copy=False),)

    twin = with_inputs("axes")
    return Operator(name, _shape, work, kernel, role="vector", static=("axes",), onnx=twin, **about)


def _axes(rank: int, attrs: Mapping[str, Any]) -> tuple[int, ...]:
    axes = attrs.get("axes")
    if axes is None or len(axes) == 0:
        return () if attrs.get("noop_with_empty_axes") else tuple(range(rank))
    return tuple(sorted(positive_axis(axis, rank) for axis in axes))


def _shape(shapes: Sequence[Shape], attrs: Mapping[str, Any]) -> list[Shape]:
    x = shapes[0]
    axes = _axes(len(x), attrs)
    if attrs.get("keepdims", 1):
        return [tuple(1 if i in axes else d for i, d in enumerate(x))]
    return [tuple(d for i, d in enumerate(x) if i not in axes)]
