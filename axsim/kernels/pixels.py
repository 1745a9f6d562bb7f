"""Convolutions in float32 over images whose channels lie together, on CPUs with 512-bit vectors.

Values keep their shape [N, C, H, W]; in memory they are [N, H, W, C]. Rows of a product are windows
where they lie, so nothing is copied (:mod:`axsim.kernels.avx512.conv`). What follows sees a result
as [positions, channels].
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from axsim.kernels.array import Array
from axsim.kernels.conv_codes import padded
from axsim.kernels.dense import Stage, apply
from axsim.kernels.parallel import parallel, threads
from axsim.kernels.scratch import Scratch
from axsim.kernels.twin import compiled
from axsim.kernels.windows import Windows

_POSITIONS = 240
"""Rows of a product: whole tiles, and enough that a panel of weights is read for many."""
ALONE = 1 << 22
"""Multiply-accumulates up to which a thread does a convolution alone: waking another takes as
long."""
_PANEL = 32
"""Columns of a panel of weights."""

_scratch = Scratch()


@dataclass(frozen=True, slots=True)
class PixelWeight:
    """A weight ready for :func:`conv`: ``panels`` of each group; or ``taps`` [taps, M] where each
    channel is convolved by itself."""

    shape: tuple[int, ...]
    group: int
    panels: tuple[Array, ...] = ()
    taps: Array | None = None


@lru_cache(maxsize=1)
def supported() -> bool:
    """Whether this CPU and numba can."""
    tiles = compiled("axsim.kernels.avx512.tiles")
    return tiles is not None and bool(tiles.supported())


def weight(w: Array, group: int) -> PixelWeight:
    """That of float32 [M, C / group, y, x]."""
    loops = compiled("axsim.kernels.avx512.multiply")
    assert loops is not None
    rows = np.moveaxis(w, 1, -1).reshape(w.shape[0], -1)  # taps before channels, as windows have
    if w.shape[1] == 1 and group > 1:
        return PixelWeight(w.shape, group, taps=np.ascontiguousarray(rows.T, np.float32))
    parts = rows.reshape(group, w.shape[0] // group, -1)
    return PixelWeight(w.shape, group, tuple(loops.panels_of(part) for part in parts))


def by_pixel(x: Array) -> Array:
    """[N, H, W, C] of a value [N, C, H, W]: a view where its channels lie together."""
    return np.ascontiguousarray(x.transpose(0, 2, 3, 1))


def conv(x: Array, w: PixelWeight, at: Windows, stages: Sequence[Stage] = ()) -> Array:
    """Float32 [N, C, H, W] convolved with a weight to [N, M, windows...]. ``stages`` change blocks
    of each image's result, seen as [positions, M]."""
    out = np.empty((x.shape[0], *at.size, w.shape[0]), np.float32)
    for image, result in zip(by_pixel(x), out, strict=True):
        image = padded(image, at, 0)
        if w.taps is not None:
            _depthwise(image, w.taps, at, stages, result)
        else:
            _products(image, w, at, stages, result.reshape(-1, w.shape[0]))
    moved: Array = out.transpose(0, 3, 1, 2)
    return moved


@lru_cache(maxsize=256)
def places(at: Windows, width: int, channels: int) -> Array:
    """Where each window of a padded image begins, as an element of it, int64."""
    rows, columns = (np.arange(n) * s for n, s in zip(at.size, at.strides, strict=True))
    found = (rows[:, None] * width + columns) * channels
    return np.ascontiguousarray(found.reshape(-1), np.int64)


@lru_cache(maxsize=256)
def pieces(at: Windows, width: int, channels: int, own: int) -> tuple[Array, int]:
    """Where the pieces of a window begin, after its own begin, and the elements of each; ``own``
    channels of each pixel are wanted."""
    down, right = at.dilations[0] * width * channels, at.dilations[1] * channels
    lines = np.arange(at.taps[0]) * down
    if own == channels and at.dilations[1] == 1:
        return lines.astype(np.int64), at.taps[1] * channels
    every = (lines[:, None] + np.arange(at.taps[1]) * right).reshape(-1)
    return every.astype(np.int64), own


def _products(
    image: Array, w: PixelWeight, at: Windows, stages: Sequence[Stage], out: Array
) -> None:
    loops = compiled("axsim.kernels.avx512.conv")
    assert loops is not None
    _, width, channels = image.shape
    begins = places(at, width, channels)
    parts, run = pieces(at, width, channels, w.shape[1])
    flat, columns = image.reshape(-1), w.shape[0] // w.group
    rows, whole = len(begins), -(-columns // _PANEL) * _PANEL
    direct = w.group == 1 and whole == columns
    workers = threads() if rows * w.shape[0] * parts.size * run > ALONE else 1
    blocks = max(1, -(-rows // _POSITIONS)) if workers > 1 else 1
    shares = 1
    if blocks % workers:
        if rows >= _POSITIONS * workers // 2:
            blocks = -(-blocks // workers) * workers
        else:
            shares = min(workers, whole // _PANEL)  # of the columns
    step = -(-rows // blocks)
    across = -(-(whole // _PANEL) // shares) * _PANEL
    zeros = np.zeros(max(step, 1), np.float32)

    def some(i: int) -> None:
        i, share = divmod(i, shares)
        block = slice(i * step, min((i + 1) * step, rows))
        some_columns = slice(share * across, min((share + 1) * across, columns))
        count = block.stop - block.start
        panels = -(-(some_columns.stop - some_columns.start) // _PANEL) * _PANEL
        if count <= 0 or panels <= 0:
            return
        own = begins[block]
        for g, right in enumerate(w.panels):
            sums = out[block] if direct and shares == 1 else None
            if sums is None:
                sums = _scratch.array("sums", (count, panels), np.float32)
            loops.convolve(
                flat, own, parts + g * w.shape[1], run, right, some_columns.start, zeros, sums
            )
            left = g * columns + some_columns.start
            target = slice(left, left + some_columns.stop - some_columns.start)
            if not (direct and shares == 1):
                out[block, target] = sums[:, : target.stop - target.start]
        if w.group > 1:
            apply(stages, out, block, slice(0, out.shape[1]))
        else:
            apply(stages, out, block, some_columns)

    parallel(blocks * shares, some)


def _depthwise(image: Array, taps: Array, at: Windows, stages: Sequence[Stage], out: Array) -> None:
    loops = compiled("axsim.kernels.conv_numba")
    assert loops is not None
    share = taps.shape[1] // image.shape[2]
    if share > 1:
        image = image.repeat(share, axis=2)
    height, width, channels = out.shape
    rows = out.reshape(-1, channels)
    few = out.size * len(taps) < ALONE // 8
    step = height if few else -(-height // (4 * threads()))

    def some(i: int) -> None:
        lines = slice(i * step, min((i + 1) * step, height))
        loops.depthwise_pixels(image, taps, at, lines, out)
        apply(stages, rows, slice(lines.start * width, lines.stop * width), slice(0, channels))

    parallel(-(-height // step), some)
