"""Loops of convolutions and poolings over planes, compiled by numba."""

from __future__ import annotations

from typing import Any

import numpy as np

from axsim.kernels.array import Array
from axsim.kernels.jit import contracted, inlined, wide_vectors


def patches(image: Array, *numbers: Any) -> None:
    """Rows of patches: ``columns`` [C * taps, lines * width] for the lines of the output from
    ``first`` on.

    ``image`` [C, H, W]; then taps, strides, dilations and padding (each for y and x), the width of
    the output, ``first`` and ``columns``.
    """
    _patches(image, *numbers)


def depthwise(image: Array, taps: Array, share: int, *numbers: Any) -> None:
    """Channels ``start`` to ``stop`` of ``y`` [M, height, width], each from one channel of
    ``image`` [C, H, W], which ``share`` of them have in common.

    ``taps`` float32 [M, taps]; then what :func:`patches` takes up to the width, ``start``, ``stop``
    and ``y``.
    """
    _depthwise(image, taps, share, *numbers)


@inlined
def _inside(size: Any, width: Any, stride: Any, offset: Any) -> Any:
    """Which of ``width`` positions, at ``stride`` apart from ``offset`` on, lie in [0, size)."""
    low = 0 if offset >= 0 else -(offset // stride)
    high = (size - 1 - offset) // stride + 1 if size > offset else 0
    low = min(low, width)
    return low, max(low, min(high, width))


@contracted
def _patches(
    image: Any, kh: Any, kw: Any, sh: Any, sw: Any, dh: Any, dw: Any, top: Any, left: Any,
    width: Any, first: Any, columns: Any,
) -> None:  # fmt: skip
    wide_vectors()
    channels, height, row_size = image.shape
    lines = columns.shape[1] // width
    k = 0
    for c in range(channels):
        for ky in range(kh):
            for kx in range(kw):
                offset = kx * dw - left
                low, high = _inside(row_size, width, sw, offset)
                for line in range(lines):
                    iy = (first + line) * sh + ky * dh - top
                    out = columns[k, line * width : (line + 1) * width]
                    if iy < 0 or iy >= height:
                        out[:] = 0
                        continue
                    row = image[c, iy]
                    for x in range(low):
                        out[x] = 0
                    if sw == 1:
                        for x in range(high - low):
                            out[low + x] = row[low + offset + x]
                    else:
                        for x in range(low, high):
                            out[x] = row[x * sw + offset]
                    for x in range(high, width):
                        out[x] = 0
                k += 1


@contracted
def _depthwise(
    image: Any, taps: Any, share: Any, kh: Any, kw: Any, sh: Any, sw: Any, dh: Any, dw: Any,
    top: Any, left: Any, width: Any, start: Any, stop: Any, y: Any,
) -> None:  # fmt: skip
    wide_vectors()
    height, row_size = image.shape[1], image.shape[2]
    for m in range(start, stop):
        plane = image[m // share]
        for line in range(y.shape[1]):
            out = y[m, line]
            for x in range(width):
                out[x] = np.float32(0)
            for ky in range(kh):
                iy = line * sh + ky * dh - top
                if iy < 0 or iy >= height:
                    continue
                row = plane[iy]
                for kx in range(kw):
                    weight = taps[m, ky * kw + kx]
                    offset = kx * dw - left
                    low, high = _inside(row_size, width, sw, offset)
                    if sw == 1:
                        source, target = row[low + offset : high + offset], out[low:high]
                        for x in range(target.size):
                            target[x] += source[x] * weight
                    else:
                        for x in range(low, high):
                            out[x] += row[x * sw + offset] * weight
