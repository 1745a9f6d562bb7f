"""Conv: convolution over any number of spatial dimensions, with groups, NCHW order.

Cost: one multiply-accumulate per output element, input channel of its group and tap. The bias
starts the accumulator, so it takes no pass.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import Any

from axsim.graph.operator import Operator, Shape, Work
from axsim.kernels.array import Array
from axsim.kernels.windows import Windows, windows


def conv_windows(x: Shape, w: Shape, attrs: Mapping[str, Any]) -> Windows:
    """The windows of a convolution of ``x`` with the weight ``w``."""
    return windows(x[2:], w[2:], attrs)


def _shape(shapes: Sequence[Shape], attrs: Mapping[str, Any]) -> list[Shape]:
    x, w, group = shapes[0], shapes[1], attrs.get("group", 1)
    if len(x) != len(w) or x[1] != w[1] * group or w[0] % group:
        raise ValueError(f"Conv: {x[1]} channels in {group} groups do not fit the weight {w}")
    if shapes[2:] and shapes[2] != (w[0],):
        raise ValueError(f"Conv: a bias {shapes[2]} does not fit {w[0]} channels")
    return [(x[0], w[0], *conv_windows(x, w, attrs).size)]


def _work(inputs: Sequence[Shape], outputs: Sequence[Shape], attrs: Mapping[str, Any]) -> Work:
    return Work(macs=prod(outputs[0]) * prod(inputs[1][1:]))


def _kernel(x: Array, w: Array, bias: Array | None = None, **attrs: Any) -> tuple[Array]:
    from axsim.kernels.convolution import conv
    from axsim.kernels.dense import added

    stages = [] if bias is None else [added(bias[:, None])]
    return (conv(x, w, conv_windows(x.shape, w.shape, attrs), attrs.get("group", 1), stages),)


CONV = Operator("Conv", _shape, _work, _kernel, role="matrix")
