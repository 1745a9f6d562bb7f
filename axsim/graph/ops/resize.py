"""Resize: nearest, linear or cubic interpolation along each dimension in turn.

``roi``, ``scales`` and ``sizes`` are attributes here (inputs in ONNX). Every result along one axis
is a weighted sum of a few elements; which ones and how much is the table of that axis. Cost: for
each axis that changes, a multiply and an add per element and neighbour; of a single neighbour
nothing is computed, and codes stay what they are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import floor, prod
from typing import Any

from axsim.graph.onnx_twin import with_inputs
from axsim.graph.operator import Operator, Shape, Work
from axsim.graph.shapes import positive_axis
from axsim.kernels.array import Array


def _axes(x: Shape, attrs: Mapping[str, Any]) -> list[int]:
    axes = attrs.get("axes")
    return [*range(len(x))] if axes is None else [positive_axis(a, len(x)) for a in axes]


def _targets(x: Shape, attrs: Mapping[str, Any]) -> dict[int, tuple[int, float]]:
    """Size and scale of each axis that is named."""
    axes, sizes, scales = _axes(x, attrs), attrs.get("sizes"), attrs.get("scales")
    if not sizes:
        if not scales:
            raise ValueError("Resize needs scales or sizes")
        return {a: (floor(x[a] * s), s) for a, s in zip(axes, scales, strict=True)}
    ratios = [size / x[a] for a, size in zip(axes, sizes, strict=True)]
    policy = attrs.get("keep_aspect_ratio_policy", "stretch")
    if policy == "stretch":
        return {a: (s, r) for a, s, r in zip(axes, sizes, ratios, strict=True)}
    ratio = min(ratios) if policy == "not_larger" else max(ratios)
    return {a: (floor(ratio * x[a] + 0.5), ratio) for a in axes}


_WORDS = {
    "mode": ("nearest", "linear", "cubic"),
    "nearest_mode": ("round_prefer_floor", "round_prefer_ceil", "floor", "ceil"),
    "keep_aspect_ratio_policy": ("stretch", "not_larger", "not_smaller"),
    "coordinate_transformation_mode": (
        "half_pixel", "half_pixel_symmetric", "pytorch_half_pixel", "align_corners", "asymmetric",
        "tf_half_pixel_for_nn", "tf_crop_and_resize",
    ),
}  # fmt: skip
"""What attributes can say."""


def _shape(shapes: Sequence[Shape], attrs: Mapping[str, Any]) -> list[Shape]:
    for key, words in _WORDS.items():
        if attrs.get(key, words[0]) not in words:
            raise ValueError(f"Resize: {key} is {attrs[key]!r}, none of {', '.join(words)}")
    x = list(shapes[0])
    for axis, (size, _) in _targets(shapes[0], attrs).items():
        x[axis] = size
    return [tuple(x)]


def _is_nearest(attrs: Mapping[str, Any]) -> bool:
    crops = attrs.get("coordinate_transformation_mode") == "tf_crop_and_resize"
    return attrs.get("mode", "nearest") == "nearest" and not crops


def _work(inputs: Sequence[Shape], outputs: Sequence[Shape], attrs: Mapping[str, Any]) -> Work:
    if _is_nearest(attrs):
        return Work(moves=prod(outputs[0]))
    neighbours = {"nearest": 1, "linear": 2, "cubic": 4}[attrs["mode"]]
    changed = sum(a != b for a, b in zip(inputs[0], outputs[0], strict=True))
    return Work(passes=2 * neighbours * changed * prod(outputs[0]))


def _kernel(x: Array, **attrs: Any) -> tuple[Array]:
    import numpy as np

    targets, roi = _targets(x.shape, attrs), attrs.get("roi") or []
    rank = len(targets)
    dtype, outside = x.dtype, {}
    for i, (axis, (size, scale)) in enumerate(targets.items()):
        span = (roi[i], roi[rank + i]) if roi else (0.0, 1.0)
        at = _positions(np, x.shape[axis], size, scale, span, attrs)
        if attrs.get("coordinate_transformation_mode") == "tf_crop_and_resize":
            outside[axis] = (at < 0) | (at > x.shape[axis] - 1)
        elif size == x.shape[axis] and scale == 1:
            continue
        index, weight = _neighbours(np, at, x.shape[axis], scale, attrs)
        spread = [-1 if d == axis else 1 for d in range(x.ndim)]
        if index.shape[0] == 1 and (weight == 1).all():
            x = _taken(x, index[0], axis)
            continue
        weight = weight.astype(np.float64 if dtype == np.float64 else np.float32)
        x = sum(
            _taken(x, places, axis) * share.reshape(spread)
            for places, share in zip(index, weight, strict=True)
        )
    for axis, mask in outside.items():
        part: list[Any] = [slice(None)] * x.ndim
        part[axis] = mask
        x[tuple(part)] = attrs.get("extrapolation_value", 0.0)
    return (x.astype(dtype, copy=False),)


def _taken(x: Array, places: Array, axis: int) -> Array:
    """``x.take(places, axis)`` with dimensions in memory as those of ``x`` are."""
    order = sorted(range(x.ndim), key=lambda d: -x.strides[d])
    taken = x.transpose(order).take(places, axis=order.index(axis))
    back: Array = taken.transpose([order.index(d) for d in range(x.ndim)])
    return back


def _positions(
    np: Any, old: int, new: int, scale: float, roi: tuple[float, float], attrs: Mapping[str, Any]
) -> Array:
    """Where each of ``new`` results lies among ``old`` elements."""
    mode = attrs.get("coordinate_transformation_mode", "half_pixel")
    i, exact = np.arange(new, dtype=np.float64), scale * old
    if mode == "asymmetric":
        return i / scale  # type: ignore[no-any-return]
    if mode == "align_corners":
        return i * ((old - 1) / (exact - 1) if exact != 1 else 0)  # type: ignore[no-any-return]
    if mode == "tf_crop_and_resize":
        span, first = (roi[1] - roi[0]) * (old - 1), roi[0] * (old - 1)
        if new == 1:
            return np.array([first + span / 2])  # type: ignore[no-any-return]
        return first + i * span / (new - 1)  # type: ignore[no-any-return]
    at = (i + 0.5) / scale - 0.5
    if mode == "half_pixel_symmetric":
        at = at + old / 2 * (1 - new / exact)
    elif mode == "pytorch_half_pixel" and new == 1:
        at = np.array([-0.5])
    elif mode not in ("half_pixel", "pytorch_half_pixel"):
        raise ValueError(f"Resize: no coordinate_transformation_mode {mode}")
    return at  # type: ignore[no-any-return]


def _neighbours(
    np: Any, at: Array, old: int, scale: float, attrs: Mapping[str, Any]
) -> tuple[Array, Array]:
    """Indices and weights [neighbours, new] of the elements that make up each result."""
    mode = attrs.get("mode", "nearest")
    below = np.floor(at)
    ratio = at - below
    if mode == "nearest":
        rule = attrs.get("nearest_mode", "round_prefer_floor")
        up = {
            "round_prefer_floor": ratio > 0.5,
            "round_prefer_ceil": ratio >= 0.5,
            "floor": np.zeros(len(at), bool),
            "ceil": ratio > 0,
        }[rule]
        index = (below + up)[None]
        weight = np.ones(index.shape)
    else:
        reach = 1 if mode == "linear" else 2
        shrink = min(scale, 1.0) if attrs.get("antialias") else 1.0
        first = floor(-reach / shrink) + 1
        offsets = np.arange(first, 2 - first)[:, None]
        distance = np.abs(offsets - ratio) * shrink
        index = below + offsets
        weight = _linear(np, distance) if mode == "linear" else _cubic(np, distance, attrs)
        if attrs.get("exclude_outside"):
            weight = np.where((index < 0) | (index >= old), 0, weight)
        weight = weight / weight.sum(axis=0)
    return np.clip(index, 0, old - 1).astype(np.intp), weight


def _linear(np: Any, distance: Array) -> Array:
    return np.clip(1 - distance, 0, 1)  # type: ignore[no-any-return]


def _cubic(np: Any, distance: Array, attrs: Mapping[str, Any]) -> Array:
    """Keys' cubic convolution with free parameter ``cubic_coeff_a``."""
    a = attrs.get("cubic_coeff_a", -0.75)
    d = distance
    near = ((a + 2) * d - (a + 3)) * d * d + 1
    far = ((a * d - 5 * a) * d + 8 * a) * d - 4 * a
    return np.where(d <= 1, near, np.where(d < 2, far, 0))  # type: ignore[no-any-return]


RESIZE = Operator(
    "Resize",
    _shape,
    _work,
    _kernel,
    role="vector",
    selects=_is_nearest,
    static=("roi", "scales", "sizes"),
    onnx=with_inputs("roi", "scales", "sizes"),
)
