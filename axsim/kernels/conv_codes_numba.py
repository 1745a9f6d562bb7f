"""Compiled twins of :mod:`axsim.kernels.conv_codes`."""

from __future__ import annotations

from typing import Any

import numpy as np

from axsim.kernels import conv_codes
from axsim.kernels.array import Array
from axsim.kernels.finish import Requantise
from axsim.kernels.jit import compiled, wide_vectors
from axsim.kernels.windows import Windows

_MOST = 2**31 - 1


def depthwise(
    image: Array, taps: Array, zero: int, at: Windows, finish: Requantise, lines: slice, out: Array
) -> None:
    """See :func:`axsim.kernels.conv_codes.depthwise`."""
    y = finish.y
    limits = np.float32(y.low - y.zero_point), np.float32(y.high - y.zero_point), y.zero_point
    geometry = (*at.taps, *at.strides, *at.dilations)
    multiplier = np.asarray(finish.multiplier, np.float32)
    weights = taps.astype(np.int32)
    # The zero point's part of a sum is the same everywhere.
    shift = finish.shift - zero * taps.sum(axis=0, dtype=np.int64)
    if np.abs(shift).max(initial=0) > _MOST - len(taps) * int(np.iinfo(image.dtype).max) * 128:
        plain: Any = conv_codes.depthwise
        plain.__wrapped__(image, taps, zero, at, finish, lines, out)
        return
    loop = _three_by_three if at.taps == (3, 3) else _depthwise
    loop(
        image, weights, geometry, shift.astype(np.int32), multiplier, limits, lines.start,
        lines.stop, out,
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
    image: Any, taps: Any, geometry: Any, shift: Any, multiplier: Any, limits: Any, start: Any,
    stop: Any, out: Any,
) -> None:  # fmt: skip
    wide_vectors()
    kh, kw, sh, sw, dh, dw = geometry
    low, high, target = limits
    channels = out.shape[2]
    sums = np.empty(channels, np.int32)
    for line in range(start, stop):
        for x in range(out.shape[1]):
            sums[:] = shift
            for ky in range(kh):
                for kx in range(kw):
                    pixel = image[line * sh + ky * dh, x * sw + kx * dw]
                    weight = taps[ky * kw + kx]
                    for c in range(channels):
                        sums[c] += np.int32(pixel[c]) * weight[c]
            pixel_out = out[line, x]
            for c in range(channels):
                value = np.rint(np.float32(sums[c]) * multiplier[c])
                value = min(max(value, low), high)
                pixel_out[c] = np.int32(value) + target


@compiled
def _three_by_three(
    image: Any, taps: Any, geometry: Any, shift: Any, multiplier: Any, limits: Any, start: Any,
    stop: Any, out: Any,
) -> None:  # fmt: skip
    """The usual window without a store between its taps."""
    wide_vectors()
    _, _, sh, sw, dh, dw = geometry
    low, high, target = limits
    w0, w1, w2, w3, w4 = taps[0], taps[1], taps[2], taps[3], taps[4]
    w5, w6, w7, w8 = taps[5], taps[6], taps[7], taps[8]
    for line in range(start, stop):
        top, middle, bottom = image[line * sh], image[line * sh + dh], image[line * sh + 2 * dh]
        for x in range(out.shape[1]):
            left = x * sw
            a, b, c = top[left], top[left + dw], top[left + 2 * dw]
            d, e, f = middle[left], middle[left + dw], middle[left + 2 * dw]
            g, h, i = bottom[left], bottom[left + dw], bottom[left + 2 * dw]
            codes = out[line, x]
            for n in range(codes.size):
                total = shift[n] + np.int32(a[n]) * w0[n] + np.int32(b[n]) * w1[n]
                total += np.int32(c[n]) * w2[n] + np.int32(d[n]) * w3[n] + np.int32(e[n]) * w4[n]
                total += np.int32(f[n]) * w5[n] + np.int32(g[n]) * w6[n] + np.int32(h[n]) * w7[n]
                total += np.int32(i[n]) * w8[n]
                value = np.rint(np.float32(np.int32(total)) * multiplier[n])
                value = min(max(value, low), high)
                codes[n] = np.int32(value) + target
