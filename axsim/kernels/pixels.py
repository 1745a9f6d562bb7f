"""Convolutions in float32 over images whose channels lie together, by the CPU's vectors.

Values keep their shape [N, C, H, W]; in memory they are [N, H, W, C]. Rows of a product are windows
where they lie, so nothing is copied (:mod:`axsim.kernels.vectors.conv`). What follows sees a result
as [positions, channels].
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from math import prod
from typing import Any

import numpy as np

from axsim.kernels import squares
from axsim.kernels.array import Array
from axsim.kernels.conv_codes import Padding
from axsim.kernels.dense import Stage, apply
from axsim.kernels.parallel import ALONE, divided, for_rows, threads
from axsim.kernels.scratch import Scratch
from axsim.kernels.twin import compiled
from axsim.kernels.windows import Windows

_POSITIONS = 240
"""Rows of a product: whole tiles, and enough that a panel of weights is read for many."""

_scratch = Scratch()


@dataclass(frozen=True, slots=True)
class PixelWeight:
    """A weight ready for :func:`conv`: ``panels`` [groups, ...]; or those of ``squares``; or
    ``taps`` [taps, M] where each channel is convolved by itself."""

    shape: tuple[int, ...]
    group: int
    panels: Array | None = None
    squares: Array | None = None
    taps: Array | None = None


@lru_cache(maxsize=1)
def supported() -> bool:
    """Whether this CPU and numba can."""
    tiles = compiled("axsim.kernels.vectors.tiles")
    return tiles is not None and bool(tiles.supported())


def weight(w: Array, group: int, in_squares: bool = False) -> PixelWeight:
    """That of float32 [M, C / group, y, x]; ``in_squares`` where these pay
    (:func:`axsim.kernels.squares.pay`)."""
    if in_squares:
        return PixelWeight(w.shape, group, squares=squares.weight(w))
    loops = compiled("axsim.kernels.vectors.multiply")
    assert loops is not None
    rows = np.moveaxis(w, 1, -1).reshape(w.shape[0], -1)  # taps before channels, as windows have
    if w.shape[1] == 1 and group > 1:
        return PixelWeight(w.shape, group, taps=np.ascontiguousarray(rows.T, np.float32))
    parts = rows.reshape(group, w.shape[0] // group, -1)
    return PixelWeight(w.shape, group, loops.stacked(parts))


def by_pixel(x: Array) -> Array:
    """[N, H, W, C] of a value [N, C, H, W]: a view where its channels lie together."""
    return np.ascontiguousarray(x.transpose(0, 2, 3, 1))


@dataclass(frozen=True, slots=True)
class Finish:
    """What sums become while they are warm: ``bias`` [M] and ``other`` [positions, M] are added,
    the result is limited to [low, high], and goes through SiLU where ``swish``."""

    bias: Array | None = None
    other: Array | None = None
    low: float | None = None
    high: float | None = None
    swish: bool = False

    def arguments(self, out: Array) -> tuple[Any, ...]:
        """What compiled loops take of it, for a result ``out`` [positions, M]."""
        bias = np.zeros(out.shape[1], np.float32) if self.bias is None else self.bias
        other = out if self.other is None else np.ascontiguousarray(self.other)
        low = np.float32(-np.inf if self.low is None else self.low)
        high = np.float32(np.inf if self.high is None else self.high)
        return bias, other, self.other is not None, low, high, self.swish


def conv(
    x: Array,
    w: PixelWeight,
    at: Windows,
    finish: Finish = Finish(),
    stages: Sequence[Stage] = (),
) -> Array:
    """Float32 [N, C, H, W] convolved with a weight to [N, M, windows...]. After ``finish``,
    ``stages`` change blocks of each image's result, seen as [positions, M]."""
    return convolution(w, at, x.shape[1:])(x, finish, stages)


Convolution = Callable[[Array, Finish, Sequence[Stage]], Array]


def convolution(w: PixelWeight, at: Windows, shape: tuple[int, ...]) -> Convolution:
    """:func:`conv` made ready for tensors whose images have a ``shape`` [C, H, W]."""
    tasks = compiled("axsim.kernels.vectors.float_tasks")
    assert tasks is not None
    wanted = at if w.squares is None else squares.whole(at)
    pad = Padding((*shape[1:], shape[0]), wanted, 0, np.dtype(np.float32), task=tasks.pad)
    if w.taps is not None:
        product = _depthwise(w.taps, at, w.shape[0] // shape[0])
    elif w.squares is not None:
        product = squares.convolved(w.squares, at)
    else:
        product = _products(w, at, pad.shape)

    def run(x: Array, finish: Finish, stages: Sequence[Stage]) -> Array:
        out = np.empty((len(x), *at.size, w.shape[0]), np.float32)
        for image, result in zip(x.transpose(0, 2, 3, 1), out, strict=True):
            rows = result.reshape(-1, w.shape[0])
            product(pad(image), finish.arguments(rows), rows)
            if stages:
                whole = partial(apply, stages, rows, columns=slice(0, w.shape[0]))
                for_rows(whole, len(rows), _POSITIONS)
        moved: Array = out.transpose(0, 3, 1, 2)
        return moved

    return run


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


def _products(w: PixelWeight, at: Windows, shape: tuple[int, ...]) -> squares.Product:
    tasks, tiles = (compiled(f"axsim.kernels.vectors.{n}") for n in ("float_tasks", "tiles"))
    assert tasks is not None
    assert tiles is not None
    assert w.panels is not None
    begins = places(at, *shape[1:])
    parts, run = pieces(at, *shape[1:], w.shape[1])
    rows, panels = len(begins), w.panels.shape[1]
    available = threads()
    workers = available if rows * w.shape[0] * parts.size * run > ALONE else 1
    blocks, shares = divided(rows / _POSITIONS, 0.5, panels, workers)
    step = -(-rows // (blocks * tiles.ROWS)) * tiles.ROWS
    across = -(-panels // shares) * tiles.WIDTH
    where, split = (begins, parts, run, w.shape[1], w.panels), (step, across, shares)
    memory = available, _POSITIONS, across

    def product(image: Array, finish: tuple[Any, ...], out: Array) -> None:
        strips = _scratch.array("sums", memory, np.float32)
        numbers = (image.reshape(-1), *where, finish, strips, out, *split)
        tasks.windows(blocks * shares, numbers, available)

    return product


def _depthwise(taps: Array, at: Windows, share: int) -> squares.Product:
    tasks = compiled("axsim.kernels.vectors.float_tasks")
    assert tasks is not None
    height, geometry, workers = at.size[0], (*at.taps, *at.strides, *at.dilations), threads()
    few = prod(at.size) * taps.size < ALONE // 8
    step = height if few else -(-height // (4 * workers))

    def product(image: Array, finish: tuple[Any, ...], out: Array) -> None:
        if share > 1:
            image = image.repeat(share, axis=2)
        lines = out.reshape(*at.size, -1)
        tasks.depthwise(-(-height // step), (image, taps, geometry, finish, lines, step), workers)

    return product
