"""Convolutions of codes: rows of patches for products, and depthwise ones summed where they lie.

Images are [H, W, C], channels last: patches are runs of whole pixels, and a product's rows are the
next image.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from axsim.kernels.array import Array
from axsim.kernels.codes import rounded_codes
from axsim.kernels.finish import Requantise
from axsim.kernels.parallel import threads
from axsim.kernels.scratch import Scratch
from axsim.kernels.twin import twin
from axsim.kernels.windows import Windows

_scratch = Scratch()
_FEW = 1 << 15
"""Numbers that one thread copies before another would have come."""


def padded(
    image: Array,
    at: Windows,
    zero: int,
    channels: int = 0,
    dtype: Any = None,
    task: Callable[..., None] | None = None,
) -> Array:
    """``image`` with the code ``zero`` wherever windows reach beyond it, and in channels that it
    lacks of so many ``channels``; in memory that the thread's next use of this takes again. Its
    numbers are of ``dtype`` where given. ``task`` (:data:`axsim.kernels.vectors.float_tasks.pad`)
    does it for contiguous images of its type."""
    dtype = np.dtype(dtype or image.dtype)
    reach = at.reach(image.shape[:2])
    height, width, own = image.shape
    channels = max(channels, own)
    if not any(at.begin) and not any(reach) and channels == own and dtype == image.dtype:
        return image
    (top, left), (below, beside) = at.begin, reach
    shape = (top + height + below, left + width + beside, channels)
    out = _scratch.array("padded", shape, dtype)
    if task is not None and image.flags.c_contiguous:
        step = len(out) if out.size < _FEW else -(-len(out) // threads())
        task(-(-len(out) // step), (image, out, top, left, dtype.type(zero), step))
        return out
    out[:top] = out[top + height :] = zero
    rows = out[top : top + height]
    rows[:, :left] = rows[:, left + width :] = zero
    rows[:, left : left + width, own:] = zero
    rows[:, left : left + width, :own] = image
    return out


def patch_rows(image: Array, at: Windows, lines: slice, channels: slice, out: Array) -> Array:
    """Rows [positions, taps * channels] for some lines of the output of a padded, contiguous
    ``image``: some rows of it as they lie where windows are single pixels side by side, else
    ``out``, which is filled."""
    whole = channels == slice(0, image.shape[2])
    if whole and at.taps == at.strides == (1, 1) and image.shape[:2] == at.size:
        return image[lines].reshape(-1, image.shape[2])
    fill_patches(image, at, lines, channels, out)
    return out


@twin("axsim.kernels.conv_codes_numba")
def fill_patches(image: Array, at: Windows, lines: slice, channels: slice, out: Array) -> None:
    """``out`` [positions, taps * channels]; see :func:`patch_rows`."""
    part = image[lines.start * at.strides[0] :, :, channels]
    down, right, along = part.strides
    count = lines.stop - lines.start
    windows = np.lib.stride_tricks.as_strided(
        part,
        (count, at.size[1], *at.taps, part.shape[2]),
        (
            down * at.strides[0],
            right * at.strides[1],
            down * at.dilations[0],
            right * at.dilations[1],
            along,
        ),
        writeable=False,
    )
    out.reshape(windows.shape)[...] = windows


@twin("axsim.kernels.conv_codes_numba")
def depthwise(
    image: Array, taps: Array, zero: int, at: Windows, finish: Requantise, lines: slice, out: Array
) -> None:
    """Lines ``lines`` of ``out`` [height, width, C]: for each channel alone the sums over its taps.

    ``image``: padded codes [H, W, C] whose zero point is ``zero``; ``taps``: int8 [taps, C], of
    which there are at most 255, so that the sums stay in S32.
    """
    sums = np.zeros((lines.stop - lines.start, *out.shape[1:]), np.int64)
    for n, codes in enumerate(taps.astype(np.int64)):
        y, x = divmod(n, at.taps[1])
        first = lines.start * at.strides[0] + y * at.dilations[0]
        rows = slice(first, first + (len(sums) - 1) * at.strides[0] + 1, at.strides[0])
        left = x * at.dilations[1]
        columns = slice(left, left + (at.size[1] - 1) * at.strides[1] + 1, at.strides[1])
        sums += (image[rows, columns].astype(np.int64) - zero) * codes
    steps = (sums + finish.shift).astype(np.float32)
    steps *= finish.multiplier
    out[lines] = rounded_codes(steps, finish.y)
