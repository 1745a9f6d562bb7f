"""Loops of convolutions and poolings over planes, compiled by numba."""

from __future__ import annotations

from typing import Any

import numpy as np

from axsim.kernels.array import Array
from axsim.kernels.floats_numba import gated_rows
from axsim.kernels.gates import SWISH
from axsim.kernels.jit import compiled, contracted, wide_vectors

_SWISH = tuple(np.float32(-c) for c in SWISH)


def patches(image: Array, *numbers: Any) -> None:
    """Rows of patches: ``columns`` [C * taps, lines * width] for the lines of the output from
    ``first`` on.

    ``image``: padded, [C, H, W]; then taps, strides and dilations (each for y and x), the width of
    the output, ``first`` and ``columns``.
    """
    sizes: tuple[Any, ...] = tuple(np.uint64(n) for n in numbers[:-1])
    _patches(*(image, *sizes, numbers[-1]))


def depthwise(image: Array, taps: Array, share: int, *numbers: Any) -> None:
    """Channels ``start`` to ``stop`` of ``y`` [M, height, width], each from one channel of
    ``image``, padded, [C, H, W], which ``share`` of them have in common.

    ``taps`` float32 [M, taps]; then what :func:`patches` takes up to the width, ``start``, ``stop``
    and ``y``.
    """
    _depthwise(image, taps, share, *(np.uint64(n) for n in numbers[:-3]), *numbers[-3:])


def finish(
    y: Array, rows: slice, columns: slice, bias: Array, other: Array | None, low: float, high: float
) -> None:
    """See :func:`axsim.kernels.convolution.finish`."""
    ends = (np.uint64(n) for n in (rows.start, rows.stop, columns.start, columns.stop))
    term = y if other is None else other
    limits = np.float32(low), np.float32(high)
    numbers: tuple[Any, ...] = (y, *ends, bias, term, other is not None, *limits)
    _finish(*numbers)


# Unsigned, because an index that might be negative keeps loops from becoming vector instructions.


@compiled
def pad_part(part: Any, arguments: Any) -> None:
    """A part of the lines of an image in which another one lies; see
    :data:`axsim.kernels.vectors.float_tasks.pad`."""
    wide_vectors()
    image, is_planes, out, top, left, zero, step = arguments
    height, width, channels = image.shape
    if is_planes:
        channels, height, width = image.shape
    run, across = width * channels, out.shape[2]
    for y in range(part * step, min(part * step + step, out.shape[0])):
        line = out[y].reshape(out.shape[1] * across)
        if y < top or y >= top + height:
            line[:] = zero
            continue
        line[: left * across] = zero
        line[(left + width) * across :] = zero
        if is_planes:
            for c in range(channels):
                for x in range(width):
                    line[(left + x) * across + c] = image[c, y - top, x]
            for c in range(channels, across):
                for x in range(width):
                    line[(left + x) * across + c] = zero
            continue
        source = image[y - top].reshape(run)
        if channels == across:
            own = line[left * across :]
            for i in range(np.uint64(run)):
                own[i] = source[i]
        else:
            for x in range(width):
                begin = (left + x) * across
                for c in range(channels):
                    line[begin + c] = source[x * channels + c]
                line[begin + channels : begin + across] = zero


@compiled
def maxima_part(part: Any, arguments: Any) -> None:
    """A part of the lines of a result; see :data:`axsim.kernels.vectors.float_tasks.maxima`."""
    wide_vectors()
    image, geometry, lowest, out, step = arguments
    kh, kw, sh, sw, dh, dw, top, left = geometry
    height, width, channels = image.shape
    for line in range(part * step, min(part * step + step, out.shape[0])):
        for x in range(out.shape[1]):
            found = out[line, x]
            found[:] = lowest
            for ky in range(kh):
                for kx in range(kw):
                    down, right = line * sh + ky * dh - top, x * sw + kx * dw - left
                    if down < 0 or down >= height or right < 0 or right >= width:
                        continue
                    pixel = image[down, right]
                    for c in range(np.uint64(channels)):
                        number, most = pixel[c], found[c]
                        # What is no number differs from itself.
                        found[c] = number if number > most or number != number else most


@contracted
def _finish(
    y: Any, top: Any, bottom: Any, left: Any, right: Any, bias: Any, other: Any, adds: Any,
    low: Any, high: Any,
) -> None:  # fmt: skip
    wide_vectors()
    for i in range(top, bottom):
        row, shift, term = y[i], bias[i], other[i]
        if adds:
            for j in range(left, right):
                value = row[j] + shift + term[j]
                value = low if value < low else value
                row[j] = high if value > high else value
        else:
            for j in range(left, right):
                value = row[j] + shift
                value = low if value < low else value
                row[j] = high if value > high else value


@contracted
def _patches(
    image: Any, kh: Any, kw: Any, sh: Any, sw: Any, dh: Any, dw: Any, width: Any, first: Any,
    columns: Any,
) -> None:  # fmt: skip
    wide_vectors()
    lines = np.uint64(columns.shape[1]) // width
    k = 0
    for c in range(image.shape[0]):
        for ky in range(kh):
            for kx in range(kw):
                offset, out = kx * dw, columns[k]
                for line in range(lines):
                    row, begin = image[c, (first + line) * sh + ky * dh], line * width
                    if sw == 1:
                        for x in range(width):
                            out[begin + x] = row[offset + x]
                    else:
                        for x in range(width):
                            out[begin + x] = row[offset + x * sw]
                k += 1


@contracted
def _depthwise(
    image: Any, taps: Any, share: Any, kh: Any, kw: Any, sh: Any, sw: Any, dh: Any, dw: Any,
    width: Any, start: Any, stop: Any, y: Any,
) -> None:  # fmt: skip
    wide_vectors()
    for m in range(start, stop):
        plane = image[m // share]
        for line in range(np.uint64(y.shape[1])):
            out = y[m, line]
            for x in range(width):
                out[x] = np.float32(0)
            for ky in range(kh):
                row = plane[line * sh + ky * dh]
                for kx in range(kw):
                    weight, offset = taps[m, ky * kw + kx], kx * dw
                    if sw == 1:
                        for x in range(width):
                            out[x] += row[offset + x] * weight
                    else:
                        for x in range(width):
                            out[x] += row[offset + x * sw] * weight


@contracted
def finished(
    sums: Any, bias: Any, other: Any, adds: Any, low: Any, high: Any, swish: Any, out: Any,
    top: Any, left: Any,
) -> None:  # fmt: skip
    """Sums [rows, columns or more], which may be those of ``out`` themselves, to rows of ``out``
    from ``top`` on and columns from ``left`` to that of the last number of ``bias``; see
    :class:`axsim.kernels.pixels.Finish`."""
    wide_vectors()
    for i in range(sums.shape[0]):
        row, numbers, term = sums[i], out[top + i, left:], other[top + i, left:]
        if adds:
            for j in range(np.uint64(bias.size)):
                value = row[j] + bias[j] + term[j]
                value = low if value < low else value
                numbers[j] = high if value > high else value
        else:
            for j in range(np.uint64(bias.size)):
                value = row[j] + bias[j]
                value = low if value < low else value
                numbers[j] = high if value > high else value
    if swish:
        gated_rows(out, top, top + sums.shape[0], left, left + bias.size, _SWISH)


@contracted
def depthwise_pixels(image: Any, taps: Any, geometry: Any, start: Any, stop: Any, out: Any) -> None:
    """Lines of ``out`` [height, width, C] from a padded ``image`` [H, W, C], each channel by itself
    with its ``taps`` [taps, C]; ``geometry``: taps, strides and dilations, each for y and x."""
    wide_vectors()
    kh, kw, sh, sw, dh, dw = geometry
    channels = out.shape[2]
    for line in range(start, stop):
        for x in range(out.shape[1]):
            sums = out[line, x]
            for c in range(channels):
                sums[c] = np.float32(0)
            for ky in range(kh):
                for kx in range(kw):
                    pixel = image[line * sh + ky * dh, x * sw + kx * dw]
                    weight = taps[ky * kw + kx]
                    for c in range(channels):
                        sums[c] += pixel[c] * weight[c]


@contracted
def three_by_three_pixels(
    image: Any, taps: Any, geometry: Any, start: Any, stop: Any, out: Any
) -> None:
    """:func:`depthwise_pixels` of the usual window, without a store between its taps."""
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
            sums = out[line, x]
            for n in range(sums.size):
                total = a[n] * w0[n] + b[n] * w1[n] + c[n] * w2[n]
                total += d[n] * w3[n] + e[n] * w4[n] + f[n] * w5[n]
                sums[n] = total + g[n] * w6[n] + h[n] * w7[n] + i[n] * w8[n]
