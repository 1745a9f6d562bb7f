"""Compiled twins of :mod:`axsim.kernels.conv_codes`."""

from __future__ import annotations

from typing import Any

import numpy as np

from axsim.kernels.array import Array
from axsim.kernels.finish import Requantise
from axsim.kernels.jit import compiled, wide_vectors
from axsim.kernels.windows import Windows


def depthwise(
    image: Array, taps: Array, zero: int, at: Windows, finish: Requantise, lines: slice, out: Array
) -> None:
    """See :func:`axsim.kernels.conv_codes.depthwise`."""
    y = finish.y
    limits = np.float32(y.low - y.zero_point), np.float32(y.high - y.zero_point), y.zero_point
    geometry = (*at.taps, *at.strides, *at.dilations)
    multiplier = np.asarray(finish.multiplier, np.float32)
    _depthwise(
        image, taps.astype(np.int32), np.int32(zero), geometry, finish.shift, multiplier, limits,
        lines.start, lines.stop, out,
    )  # fmt: skip


def fill_patches(image: Array, at: Windows, lines: slice, channels: slice, out: Array) -> None:
    """See :func:`axsim.kernels.conv_codes.fill_patches`."""
    rows = image.reshape(len(image), -1)
    numbers = (*at.taps, *at.strides, *at.dilations, at.size[1], lines.start, lines.stop)
    runs = (image.shape[2], channels.start, channels.stop - channels.start)
    sizes: tuple[Any, ...] = tuple(np.uint64(n) for n in (*numbers, *runs))
    arguments = (rows, *sizes, out)
    _fill_patches(*arguments)


@compiled
def _fill_patches(
    rows: Any, kh: Any, kw: Any, sh: Any, sw: Any, dh: Any, dw: Any, width: Any, start: Any,
    stop: Any, channels: Any, first: Any, count: Any, out: Any,
) -> None:  # fmt: skip
    wide_vectors()
    run = kw * channels if dw == 1 and count == channels else count
    pieces = kw * count // run
    n = 0
    for line in range(start, stop):
        for x in range(width):
            target = out[n]
            at = np.uint64(0)
            for ky in range(kh):
                source = rows[line * sh + ky * dh]
                for piece in range(pieces):
                    begin = (x * sw + piece * dw) * channels + first
                    for i in range(run):
                        target[at + i] = source[begin + i]
                    at += run
            n += 1


@compiled
def _depthwise(
    image: Any, taps: Any, zero: Any, geometry: Any, shift: Any, multiplier: Any, limits: Any,
    start: Any, stop: Any, out: Any,
) -> None:  # fmt: skip
    wide_vectors()
    kh, kw, sh, sw, dh, dw = geometry
    low, high, target = limits
    channels = out.shape[2]
    sums = np.empty(channels, np.int32)
    for line in range(start, stop):
        for x in range(out.shape[1]):
            sums[:] = 0
            for ky in range(kh):
                for kx in range(kw):
                    pixel = image[line * sh + ky * dh, x * sw + kx * dw]
                    weight = taps[ky * kw + kx]
                    for c in range(channels):
                        sums[c] += (np.int32(pixel[c]) - zero) * weight[c]
            pixel_out = out[line, x]
            for c in range(channels):
                value = np.rint(np.float32(sums[c] + shift[c]) * multiplier[c])
                value = min(max(value, low), high)
                pixel_out[c] = np.int32(value) + target
