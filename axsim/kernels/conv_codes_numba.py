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
    numbers = depthwising(taps, zero, at, finish, image.dtype)
    if numbers is None:
        plain: Any = conv_codes.depthwise
        plain.__wrapped__(image, taps, zero, at, finish, lines, out)
    else:
        arguments = (image, *numbers, lines.start, lines.stop, out)
        depthwise_lines(*arguments)


def depthwising(
    taps: Array, zero: int, at: Windows, finish: Requantise, dtype: Any
) -> tuple[Any, ...] | None:
    """What loops take of a depthwise convolution beside its image of ``dtype``, or None where sums
    might leave S32."""
    y = finish.y
    limits = np.float32(y.low - y.zero_point), np.float32(y.high - y.zero_point)
    # The zero point's part of a sum is the same everywhere.
    shift = finish.shift - zero * taps.sum(axis=0, dtype=np.int64)
    if np.abs(shift).max(initial=0) > _MOST - len(taps) * int(np.iinfo(dtype).max) * 128:
        return None
    geometry = (*at.taps, *at.strides, *at.dilations)
    numbers = shift.astype(np.int32), np.asarray(finish.multiplier, np.float32)
    return taps.astype(np.int32), geometry, *numbers, *limits, np.int32(y.zero_point)


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
    image: Any, taps: Any, geometry: Any, shift: Any, multiplier: Any, low: Any, high: Any,
    target: Any, start: Any, stop: Any, out: Any,
) -> None:  # fmt: skip
    wide_vectors()
    kh, kw, sh, sw, dh, dw = geometry
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
    image: Any, taps: Any, geometry: Any, shift: Any, multiplier: Any, low: Any, high: Any,
    target: Any, start: Any, stop: Any, out: Any,
) -> None:  # fmt: skip
    """The usual window without a store between its taps."""
    wide_vectors()
    _, _, sh, sw, dh, dw = geometry
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


@compiled
def depthwise_lines(
    image: Any, taps: Any, geometry: Any, shift: Any, multiplier: Any, low: Any, high: Any,
    target: Any, start: Any, stop: Any, out: Any,
) -> None:  # fmt: skip
    """Lines ``start`` to ``stop`` of ``out``, with the numbers of :func:`depthwising`."""
    if geometry[0] == 3 and geometry[1] == 3:
        _three_by_three(
            image, taps, geometry, shift, multiplier, low, high, target, start, stop, out
        )
    else:
        _depthwise(image, taps, geometry, shift, multiplier, low, high, target, start, stop, out)
