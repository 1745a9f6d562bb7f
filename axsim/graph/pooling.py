"""Shapes and kernels of pooling, which its operators share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import Any

from axsim.graph.operator import Shape, Work
from axsim.kernels.array import Array
from axsim.kernels.windows import Windows, windows


def pool_windows(x: Shape, attrs: Mapping[str, Any]) -> Windows:
    """The windows of a pooling of ``x`` [N, C, ...]."""
    return windows(x[2:], tuple(attrs["kernel_shape"]), attrs)


def pool_shape(shapes: Sequence[Shape], attrs: Mapping[str, Any]) -> list[Shape]:
    """[N, C, windows...]."""
    x = shapes[0]
    return [(*x[:2], *pool_windows(x, attrs).size)]


def pool_work(inputs: Sequence[Shape], outputs: Sequence[Shape], attrs: Mapping[str, Any]) -> Work:
    """One pass for each element of each window."""
    return Work(passes=prod(outputs[0]) * prod(attrs["kernel_shape"]))


def global_shape(shapes: Sequence[Shape], attrs: Mapping[str, Any]) -> list[Shape]:
    """[N, C, 1...]."""
    x = shapes[0]
    return [(*x[:2], *(1,) * (len(x) - 2))]


def global_work(
    inputs: Sequence[Shape], outputs: Sequence[Shape], attrs: Mapping[str, Any]
) -> Work:
    """One pass for each element."""
    return Work(passes=prod(inputs[0]))


def padded(x: Array, w: Windows, value: Any) -> Array:
    """``x`` [N, C, ...] with ``value`` wherever windows reach beyond it."""
    import numpy as np

    reach = w.reach(x.shape[2:])
    if not any(w.begin) and not any(reach):
        return x
    spatial = [b + size + r for b, size, r in zip(w.begin, x.shape[2:], reach, strict=True)]
    out = np.full_like(x, value, shape=(*x.shape[:2], *spatial))
    parts = (slice(b, b + size) for b, size in zip(w.begin, x.shape[2:], strict=True))
    inside: tuple[Any, ...] = (slice(None), slice(None), *parts)
    out[inside] = x
    return out


def taps(x: Array, w: Windows) -> list[Array]:
    """For each tap of a window, in order, the elements of a padded ``x`` under it: views
    [N, C, windows...]."""
    from itertools import product

    views = []
    for tap in product(*map(range, w.taps)):
        starts = [t * d for t, d in zip(tap, w.dilations, strict=True)]
        parts = (
            slice(start, start + (n - 1) * stride + 1, stride)
            for start, n, stride in zip(starts, w.size, w.strides, strict=True)
        )
        index: tuple[Any, ...] = (slice(None), slice(None), *parts)
        views.append(x[index])
    return views
