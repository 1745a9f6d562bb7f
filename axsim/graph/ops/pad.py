"""Pad: more elements at the ends of dimensions; negative numbers cut some off.

``pads`` (all beginnings, then all ends), ``constant_value`` and ``axes`` are attributes here
(inputs in ONNX from set 11 on). Cost: every output element is moved once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from axsim.graph.elementwise import moved
from axsim.graph.onnx_twin import with_inputs
from axsim.graph.operator import Operator, Shape
from axsim.graph.shapes import positive_axis
from axsim.kernels.array import Array

_MODES = {"constant": "constant", "reflect": "reflect", "edge": "edge", "wrap": "wrap"}


def _ends(x: Shape, attrs: Mapping[str, Any]) -> list[tuple[int, int]]:
    """(begin, end) of each dimension."""
    pads, axes = attrs["pads"], attrs.get("axes")
    axes = range(len(x)) if axes is None else axes
    if len(pads) != 2 * len(axes):
        raise ValueError(f"Pad: {len(pads)} numbers for {len(axes)} dimensions")
    ends = [(0, 0)] * len(x)
    for i, axis in enumerate(axes):
        ends[positive_axis(axis, len(x))] = (pads[i], pads[len(axes) + i])
    return ends


def _shape(shapes: Sequence[Shape], attrs: Mapping[str, Any]) -> list[Shape]:
    x = shapes[0]
    return [tuple(d + sum(ends) for d, ends in zip(x, _ends(x, attrs), strict=True))]


def _kernel(
    x: Array, *, mode: str = "constant", constant_value: float | None = None, **attrs: Any
) -> tuple[Array]:
    import numpy as np

    ends = _ends(x.shape, attrs)
    x = x[tuple(slice(max(-a, 0), d - max(-b, 0)) for d, (a, b) in zip(x.shape, ends, strict=True))]
    wide = [(max(a, 0), max(b, 0)) for a, b in ends]
    if mode != "constant":
        return (np.pad(x, wide, mode=_MODES[mode]),)  # type: ignore[call-overload]
    return (np.pad(x, wide, constant_values=x.dtype.type(constant_value or 0)),)


PAD = Operator(
    "Pad",
    _shape,
    moved,
    _kernel,
    role="gather",
    shows="elementwise",
    static=("pads", "constant_value", "axes"),
    onnx=with_inputs("pads", "constant_value", "axes"),
)
