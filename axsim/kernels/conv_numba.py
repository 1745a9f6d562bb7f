"""Loops of convolutions and poolings over planes, compiled by numba."""

from __future__ import annotations

from typing import Any

import numpy as np

from axsim.kernels.array import Array
from axsim.kernels.jit import contracted, wide_vectors


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
    limits = np.float32(low), np.float32(high)
    term = y if other is None else other
    numbers: tuple[Any, ...] = (y, *ends, bias, term, other is not None, *limits)
    _finish(*numbers)


# Unsigned, because an index that might be negative keeps loops from becoming vector instructions.


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
