"""MaxPool: the largest element of each window.

With the attribute ``indices`` (of this package; in ONNX a second output asks for it) also where it
is in the flattened input, column-major if ``storage_order``. Cost: one pass for each element of
each window. Codes stay what they are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from axsim.graph.ir import Graph, Node
from axsim.graph.onnx_twin import OnnxWriter, same
from axsim.graph.operator import Operator, Shape, always
from axsim.graph.pooling import padded, pool_shape, pool_windows, pool_work, taps
from axsim.kernels.array import Array
from axsim.kernels.windows import Windows


def _shape(shapes: Sequence[Shape], attrs: Mapping[str, Any]) -> list[Shape]:
    return pool_shape(shapes, attrs) * (2 if attrs.get("indices") else 1)


def _kernel(
    x: Array, *, storage_order: int = 0, indices: bool = False, **attrs: Any
) -> tuple[Array, ...]:
    import numpy as np

    from axsim.kernels.maxima import largest

    w = pool_windows(x.shape, attrs)
    if not indices and (found := largest(x, w)) is not None:
        return (found,)
    lowest = -np.inf if x.dtype.kind == "f" else np.iinfo(x.dtype).min
    whole = padded(x, w, lowest)
    y = _largest(whole, w)
    if not indices:
        return (y,)
    views = taps(whole, w)
    spatial = x.shape[2:]
    numbers = np.arange(np.prod(spatial)).reshape(spatial, order="F" if storage_order else "C")
    numbers = numbers + np.arange(x.shape[0] * x.shape[1]).reshape(
        *x.shape[:2], *[1] * len(spatial)
    ) * np.prod(spatial)
    places = np.zeros(y.shape, np.int64)
    for view, number in reversed(list(zip(views, taps(padded(numbers, w, -1), w), strict=True))):
        np.copyto(places, number, where=(view == y) & (number >= 0))
    return y, places


def _largest(x: Array, w: Windows) -> Array:
    """Of each window over a padded ``x``, along one dimension after the other."""
    import numpy as np

    for axis, count in enumerate(w.taps):
        along = [slice(None)] * x.ndim
        y: Array | None = None
        for tap in range(count):
            start, step = tap * w.dilations[axis], w.strides[axis]
            along[axis + 2] = slice(start, start + (w.size[axis] - 1) * step + 1, step)
            view = x[tuple(along)]
            y = view.copy(order="K") if y is None else np.maximum(y, view, out=y)
        assert y is not None
        x = y
    return x


def _onnx(w: OnnxWriter, graph: Graph, node: Node, x: Sequence[str], y: Sequence[str]) -> None:
    attrs = {key: value for key, value in node.attrs.items() if key != "indices"}
    same(w, graph, replace(node, attrs=attrs), x, y)


MAX_POOL = Operator(
    "MaxPool", _shape, pool_work, _kernel, role="vector", selects=always, onnx=_onnx
)
