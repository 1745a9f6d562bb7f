"""ConvTranspose: what Conv's gradient is to its input; upsamples by ``strides``.

Cost: one multiply-accumulate per input element, output channel of its group and tap.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from math import prod
from typing import Any

from axsim.graph.operator import Operator, Shape, Work
from axsim.kernels.array import Array


def _geometry(x: Shape, w: Shape, attrs: Mapping[str, Any]) -> tuple[Shape, Shape, Shape, Shape]:
    """Strides, dilations, padding at the beginning and output size of each spatial dimension."""
    rank = len(x) - 2
    strides = tuple(attrs.get("strides") or (1,) * rank)
    dilations = tuple(attrs.get("dilations") or (1,) * rank)
    extra = tuple(attrs.get("output_padding") or (0,) * rank)
    whole = tuple(
        (x[2 + i] - 1) * strides[i] + extra[i] + (w[2 + i] - 1) * dilations[i] + 1
        for i in range(rank)
    )
    auto, wanted = attrs.get("auto_pad", "NOTSET"), attrs.get("output_shape")
    if auto.startswith("SAME") and not wanted:
        wanted = [x[2 + i] * strides[i] for i in range(rank)]
    if wanted:
        total = [max(a - b, 0) for a, b in zip(whole, wanted[-rank:], strict=True)]
        begin = tuple(t - t // 2 if auto == "SAME_LOWER" else t // 2 for t in total)
        return strides, dilations, begin, tuple(wanted[-rank:])
    pads = tuple(attrs.get("pads") or (0,) * (2 * rank))
    size = tuple(whole[i] - pads[i] - pads[rank + i] for i in range(rank))
    return strides, dilations, pads[:rank], size


def _shape(shapes: Sequence[Shape], attrs: Mapping[str, Any]) -> list[Shape]:
    x, w, group = shapes[0], shapes[1], attrs.get("group", 1)
    if len(x) != len(w) or x[1] != w[0] or x[1] % group:
        raise ValueError(f"ConvTranspose: {x[1]} channels do not fit the weight {w}")
    if shapes[2:] and shapes[2] != (w[1] * group,):
        raise ValueError(f"ConvTranspose: a bias {shapes[2]} does not fit {w[1] * group} channels")
    return [(x[0], w[1] * group, *_geometry(x, w, attrs)[3])]


def _work(inputs: Sequence[Shape], outputs: Sequence[Shape], attrs: Mapping[str, Any]) -> Work:
    return Work(macs=prod(inputs[0]) * prod(inputs[1][1:]))


def _kernel(x: Array, w: Array, bias: Array | None = None, **attrs: Any) -> tuple[Array]:
    import numpy as np

    strides, dilations, begin, size = _geometry(x.shape, w.shape, attrs)
    group, n = attrs.get("group", 1), x.shape[0]
    taps, spatial = w.shape[2:], x.shape[2:]
    # What each input position adds to the output around it: [N, M, taps..., positions...].
    matrix = w.reshape(group, x.shape[1] // group, -1).transpose(0, 2, 1)
    shares = (matrix @ x.reshape(n, group, x.shape[1] // group, -1)).reshape(
        n, w.shape[1] * group, *taps, *spatial
    )
    whole = [
        max((d - 1) * s + (t - 1) * dil + 1, b + o)
        for d, s, t, dil, b, o in zip(spatial, strides, taps, dilations, begin, size, strict=True)
    ]
    y = np.zeros((n, w.shape[1] * group, *whole), x.dtype)
    for tap in product(*map(range, taps)):
        places = tuple(
            slice(t * dil, t * dil + (d - 1) * s + 1, s)
            for t, dil, d, s in zip(tap, dilations, spatial, strides, strict=True)
        )
        target: tuple[Any, ...] = (slice(None), slice(None), *places)
        source: tuple[Any, ...] = (slice(None), slice(None), *tap)
        y[target] += shares[source]
    whole_image = slice(None), slice(None)
    inside = (*whole_image, *(slice(b, b + o) for b, o in zip(begin, size, strict=True)))
    y = np.ascontiguousarray(y[inside])
    if bias is not None:
        y += bias.reshape(-1, *[1] * len(size))
    return (y,)


CONV_TRANSPOSE = Operator("ConvTranspose", _shape, _work, _kernel, role="matrix")
