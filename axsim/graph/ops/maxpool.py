"""MaxPool: the largest element of each window.

With the attribute ``indices`` (of this package; in ONNX a second output asks for it) also where it
is in the flattened input, column-major if ``storage_order``. Cost: one pass for each element of
each window. Codes stay what they are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from axsim.graph.operator import Operator, Shape, always
from axsim.graph.pooling import padded, pool_shape, pool_windows, pool_work, taps
from axsim.kernels.array import Array


def _shape(shapes: Sequence[Shape], attrs: Mapping[str, Any]) -> list[Shape]:
    return pool_shape(shapes, attrs) * (2 if attrs.get("indices") else 1)


def _kernel(
    x: Array, *, storage_order: int = 0, indices: bool = False, **attrs: Any
) -> tuple[Array, ...]:
    import numpy as np

    w = pool_windows(x.shape, attrs)
    lowest = -np.inf if x.dtype.kind == "f" else np.iinfo(x.dtype).min
    views = taps(padded(x, w, lowest), w)
    y = views[0].copy(order="K")
    for view in views[1:]:
        np.maximum(y, view, out=y)
    if not indices:
        return (y,)
    spatial = x.shape[2:]
    numbers = np.arange(np.prod(spatial)).reshape(spatial, order="F" if storage_order else "C")
    numbers = numbers + np.arange(x.shape[0] * x.shape[1]).reshape(
        *x.shape[:2], *[1] * len(spatial)
    ) * np.prod(spatial)
    places = np.zeros(y.shape, np.int64)
    for view, number in reversed(list(zip(views, taps(padded(numbers, w, -1), w), strict=True))):
        np.copyto(places, number, where=(view == y) & (number >= 0))
    return y, places


MAX_POOL = Operator("MaxPool", _shape, pool_work, _kernel, role="vector", selects=always)
