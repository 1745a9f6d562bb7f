"""Conv: convolution over any number of spatial dimensions, NCHW order.

The vision tower's patch embedding has kernel = stride; that case is one reshape and one matrix
product. Cost: one multiply-accumulate per output element, input channel of its group and tap.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import Any

from axsim.graph.operator import Operator, Shape, Work
from axsim.kernels.array import Array


def _geometry(
    x: Shape, w: Shape, attrs: Mapping[str, Any]
) -> tuple[list[int], list[int], list[tuple[int, int]], list[int]]:
    """Strides, dilations, (begin, end) padding and output size of each spatial dimension."""
    taps = w[2:]
    rank = len(taps)
    strides = list(attrs.get("strides") or [1] * rank)
    dilations = list(attrs.get("dilations") or [1] * rank)
    flat = list(attrs.get("pads") or [0] * (2 * rank))
    pads = [(flat[i], flat[rank + i]) for i in range(rank)]
    auto = attrs.get("auto_pad", "NOTSET")
    if auto in ("SAME_UPPER", "SAME_LOWER"):
        for i in range(rank):
            extent = (taps[i] - 1) * dilations[i] + 1
            wanted = -(-x[2 + i] // strides[i])
            total = max((wanted - 1) * strides[i] + extent - x[2 + i], 0)
            small = total // 2
            pads[i] = (small, total - small) if auto == "SAME_UPPER" else (total - small, small)
    elif auto == "VALID":
        pads = [(0, 0)] * rank
    size = [
        (x[2 + i] + sum(pads[i]) - (taps[i] - 1) * dilations[i] - 1) // strides[i] + 1
        for i in range(rank)
    ]
    return strides, dilations, pads, size


def _shape(shapes: Sequence[Shape], attrs: Mapping[str, Any]) -> list[Shape]:
    x, w = shapes[0], shapes[1]
    if x[1] != w[1] * attrs.get("group", 1):
        raise ValueError(f"Conv: {x[1]} channels do not fit the weight {w}")
    return [(x[0], w[0], *_geometry(x, w, attrs)[3])]


def _work(inputs: Sequence[Shape], outputs: Sequence[Shape], attrs: Mapping[str, Any]) -> Work:
    return Work(macs=prod(outputs[0]) * prod(inputs[1][1:]))


def _kernel(x: Array, w: Array, bias: Array | None = None, **attrs: Any) -> tuple[Array]:
    import numpy as np

    strides, dilations, pads, size = _geometry(x.shape, w.shape, attrs)
    group = attrs.get("group", 1)
    rank = len(size)
    if any(p != (0, 0) for p in pads):
        x = np.pad(x, [(0, 0), (0, 0), *pads])
    # Windows of every output position: [N, C, *size, *taps], a strided view.
    spatial = x.strides[2:]
    windows = np.lib.stride_tricks.as_strided(
        x,
        (*x.shape[:2], *size, *w.shape[2:]),
        (
            *x.strides[:2],
            *(s * step for s, step in zip(spatial, strides, strict=True)),
            *(s * d for s, d in zip(spatial, dilations, strict=True)),
        ),
        writeable=False,
    )
    n = x.shape[0]
    channels, out = w.shape[1], w.shape[0] // group
    # K runs over (channel, *taps), as in the weight.
    order = (0, *range(2, 2 + rank), 1, *range(2 + rank, 2 + 2 * rank))
    parts = []
    for g in range(group):
        part = windows[:, g * channels : (g + 1) * channels].transpose(order)
        columns = part.reshape(n * prod(size), -1)
        rows = w[g * out : (g + 1) * out].reshape(out, -1)
        parts.append((rows @ columns.T).reshape(out, n, *size))
    y = np.concatenate(parts, axis=0) if group > 1 else parts[0]
    y = np.ascontiguousarray(np.moveaxis(y, 1, 0))
    if bias is not None:
        y += bias.reshape(-1, *[1] * rank)
    return (y,)


CONV = Operator("Conv", _shape, _work, _kernel, role="matrix")
