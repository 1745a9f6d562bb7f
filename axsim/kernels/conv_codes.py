"""Convolutions of codes: rows of patches for products, and depthwise ones summed where they lie.

Images are [H, W, C], channels last: patches are runs of whole pixels, and a product's rows are the
next image.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod
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


class Padding:
    """Makes of images [H, W, C] of one shape contiguous ones of ``shape`` and ``dtype``, with the
    code ``zero`` wherever windows reach beyond, and in channels that are lacking of so many
    ``channels``. ``task`` (:data:`axsim.kernels.vectors.float_tasks.pad`) does it for images of its
    type whose numbers, or those of whose planes, lie together.
    """

    def __init__(
        self, shape: tuple[int, ...], at: Windows, zero: int, dtype: np.dtype[Any],
        channels: int = 0, task: Callable[..., None] | None = None,
    ) -> None:  # fmt: skip
        height, width, own = shape
        below, beside = at.reach(shape[:2])
        top, left = self._begin = at.begin
        self.shape = (top + height + below, left + width + beside, max(channels, own))
        self.dtype, self._given, self._zero, self._task = dtype, shape, dtype.type(zero), task
        self._workers = threads()
        few = prod(self.shape) < _FEW
        self._step = self.shape[0] if few else -(-self.shape[0] // self._workers)

    def __call__(self, image: Array) -> Array:
        """In memory that the thread's next use of this takes again, or the image itself."""
        if self.shape == self._given and image.dtype == self.dtype:
            return np.ascontiguousarray(image)
        out, (top, left) = _scratch.array("padded", self.shape, self.dtype), self._begin
        planes = image.transpose(2, 0, 1)
        is_planes = planes.flags.c_contiguous and not image.flags.c_contiguous
        if self._task is not None and (is_planes or image.flags.c_contiguous):
            parts = -(-len(out) // self._step)
            source = planes if is_planes else image
            arguments = source, is_planes, out, top, left, self._zero, self._step
            self._task(parts, arguments, self._workers)
            return out
        height, width, own = image.shape
        out[:top] = out[top + height :] = self._zero
        rows = out[top : top + height]
        rows[:, :left] = rows[:, left + width :] = self._zero
        rows[:, left : left + width, own:] = self._zero
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
