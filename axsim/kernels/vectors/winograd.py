"""Convolutions of three by three taps with 4 products for each result in place of 9.

Winograd's F(2x2, 3x3) (A. Lavin and S. Gray, Fast Algorithms for Convolutional Neural Networks,
2015, arXiv:1509.09308): sixteen sums over each square of 4 x 4 pixels, sixteen matrix products with
sums over the taps of the weights, and four results from each sixteen of theirs. Whole numbers take
twice the weights' sums in both directions, so that none is a fraction: results are four times the
convolution's, exact where those fit S32, since what overflows on the way comes back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from axsim.kernels.array import Array
from axsim.kernels.jit import inlined
from axsim.kernels.scratch import Scratch
from axsim.kernels.vectors.conv import convolve
from axsim.kernels.vectors.multiply import stacked
from axsim.kernels.vectors.tiles import WIDTH, address, moved

_TAPS = np.array([[2, 0, 0], [1, 1, 1], [1, -1, 1], [0, 0, 2]])
"""Twice what each of four sums takes of three taps."""
_VECTOR = 2 * WIDTH
"""Bytes of a vector."""
_APART = 2 * _VECTOR
"""Bytes between what belongs to two of sixteen: otherwise all may want the same cache lines."""


_scratch = Scratch()


def takes(channels: int, dtype: Any) -> bool:
    """Whether so many channels of an image of ``dtype`` are whole vectors."""
    return bool(channels * np.dtype(dtype).itemsize % _VECTOR == 0)


def tiles_of(w: Array) -> Array:
    """The panels, sixteen times, of weights [M,
    C, 3, 3], float32 or int8."""
    real = w.dtype == np.float32
    taps = _TAPS / 2 if real else _TAPS
    spread = np.einsum("iy,mcyx,jx->ijmc", taps, w.astype(taps.dtype), taps, optimize=True)
    return stacked(spread.reshape(16, *w.shape[:2]).astype(np.float32 if real else np.int16))


def memory_of(
    workers: int, tiles: int, channels: int, columns: int, dtype: Any
) -> tuple[Array, Array, Array]:
    """What :func:`convolve_tiles` takes for ``spread``, ``products`` and ``sums``, flat, for each
    worker and images of ``dtype``; the thread's next use takes it again."""
    dtype = np.dtype(dtype)
    sums = np.float32 if dtype == np.float32 else np.int32
    spread = 16 * (tiles * channels + _APART // dtype.itemsize)
    return (
        _scratch.array("spread", (workers, spread), dtype),
        _scratch.array("products", (workers, 16 * (tiles * columns + _APART // 4)), sums),
        _scratch.array("sums", (workers, 4 * tiles * columns), sums),
    )


def _spread_of(
    typing: Any, image: Any, at: Any, line: Any, pixel: Any, out: Any, o_at: Any, apart: Any,
    count: Any,
) -> Any:  # fmt: skip
    def code(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        size = signature.args[0].dtype.bitwidth // 8
        source, target = (address(context, builder, signature, values, n) for n in (0, 4))
        with _vectors(builder, signature.args[0].dtype, values[7]) as (kind, add, subtract, n):
            here = moved(builder, source, n, size)
            lines = []
            for y in range(4):
                begin = moved(builder, here, values[2], y * size)
                where = (moved(builder, begin, values[3], x * size) for x in range(4))
                lines.append([_load(builder, each, kind) for each in where])
            across = [_four(add, subtract, each) for each in zip(*lines, strict=True)]
            found = [_four(add, subtract, each) for each in zip(*across, strict=True)]
            for k, number in enumerate(n for each in found for n in each):
                place = moved(builder, moved(builder, target, n, size), values[6], k * size)
                _store(builder, number, place, kind)
        return context.get_dummy_value()

    return types.void(image, at, line, pixel, out, o_at, apart, count), code


def _collect_of(
    typing: Any, products: Any, at: Any, apart: Any, out: Any, o_at: Any, down: Any, right: Any,
    count: Any,
) -> Any:  # fmt: skip
    def code(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        real = signature.args[0].dtype == types.float32
        source, target = (address(context, builder, signature, values, n) for n in (0, 3))
        with _vectors(builder, signature.args[0].dtype, values[7]) as (kind, add, subtract, n):
            here, there = moved(builder, source, n, 4), moved(builder, target, n, 4)
            given = [
                _load(builder, moved(builder, here, values[2], 4 * k), kind) for k in range(16)
            ]
            lines = [_two(add, subtract, given[y::4]) for y in range(4)]
            found = [_two(add, subtract, each) for each in zip(*lines, strict=True)]
            # Last the one that is always there: others may lie on it.
            for y, x in ((1, 1), (0, 1), (1, 0), (0, 0)):
                number = found[y][x]
                if not real:
                    number = builder.ashr(number, ir.Constant(kind, [2] * kind.count))
                place = moved(builder, moved(builder, there, values[5], 4 * y), values[6], 4 * x)
                _store(builder, number, place, kind)
        return context.get_dummy_value()

    return types.void(products, at, apart, out, o_at, down, right, count), code


_spread: Any = intrinsic(_spread_of)
"""``_spread(image, at, line, pixel, out, o_at, apart, count)`` of the square that begins at a flat
image's element ``at``; ``count`` numbers go to ``out`` at ``o_at`` and 15 times ``apart`` on."""
_collect: Any = intrinsic(_collect_of)
"""``_collect(products, at, apart, out, o_at, down, right, count)``: four results, ``down`` and
``right`` of one another."""


def _four(add: Callable[..., Any], subtract: Callable[..., Any], of: Any) -> list[Any]:
    a, b, c, d = of
    return [subtract(a, c), add(b, c), subtract(c, b), subtract(b, d)]


def _two(add: Callable[..., Any], subtract: Callable[..., Any], of: Any) -> list[Any]:
    a, b, c, d = of
    return [add(add(a, b), c), subtract(subtract(b, c), d)]


@contextmanager
def _vectors(builder: Any, number: Any, count: Any) -> Iterator[tuple[Any, Any, Any, Any]]:
    """A loop over ``count`` numbers, a vector at a time: that vector's type, how such are added and
    subtracted, and the first one's index."""
    real = number == types.float32
    lane = ir.FloatType() if real else ir.IntType(number.bitwidth)
    kind = ir.VectorType(lane, 8 * _VECTOR // number.bitwidth)
    add, subtract = (builder.fadd, builder.fsub) if real else (builder.add, builder.sub)
    step = ir.Constant(count.type, kind.count)
    with cgutils.for_range_slice(builder, ir.Constant(count.type, 0), count, step) as (n, _):
        yield kind, add, subtract, n


def _load(builder: Any, pointer: Any, kind: Any) -> Any:
    return builder.load(builder.bitcast(pointer, kind.as_pointer()), align=1)


def _store(builder: Any, value: Any, pointer: Any, kind: Any) -> None:
    builder.store(value, builder.bitcast(pointer, kind.as_pointer()), align=1)


@inlined
def convolve_tiles(
    image: Any, top: Any, bottom: Any, width: Any, panels: Any, start: Any, spread: Any,
    products: Any, sums: Any,
) -> None:  # fmt: skip
    """Columns from ``start`` on of the sums of windows, of lines ``top`` to ``bottom`` of squares,
    to all columns of ``sums`` [positions, W]: two lines of ``width`` for each line of squares.

    ``image``: padded, [H, W, C], float32 or int16; ``panels``: of :func:`tiles_of`. The last square
    of a line may be half beyond ``width``, and the last line half beyond ``sums``.
    """
    channels, columns = image.shape[2], sums.shape[1]
    across, numbers = (width + 1) // 2, 4 // image.itemsize
    tiles = (bottom - top) * across
    apart = tiles * channels + _APART // image.itemsize
    aside = tiles * columns + _APART // 4
    pixels, flat, line = image.reshape(-1), sums.reshape(-1), image.shape[1] * channels
    for tile in range(tiles):
        y, x = top + tile // across, tile % across
        begin = 2 * (y * line + x * channels)
        _spread(pixels, begin, line, channels, spread, tile * channels, apart, channels)
    places, pieces = np.arange(tiles) * channels, np.zeros(1, np.int64)
    zeros = np.zeros(tiles, products.dtype)
    for n in range(16):
        rows = spread[n * apart : n * apart + tiles * channels]
        product = products[n * aside : n * aside + tiles * columns].reshape(tiles, columns)
        run = channels // numbers
        convolve(rows, places, pieces, run, panels[n], start, zeros, product)
    for tile in range(tiles):
        y, x = 2 * (tile // across), 2 * (tile % across)
        place = (y * width + x) * columns
        right = columns if x + 1 < width else 0
        down = width * columns if (y + 1) * width < sums.shape[0] else 0
        _collect(products, tile * columns, aside, flat, place, down, right, columns)


@inlined
def some_tiles(part: Any, worker: Any, arguments: Any, finish: Any) -> None:
    """One part of a convolution, with the ``arguments`` that
    :data:`axsim.kernels.vectors.float_tasks.squares` takes. ``finish(sums, numbers, start, count,
    out, first)`` writes the rows of ``out`` from ``first`` on, in ``count`` columns from ``start``
    on."""
    image, panels, memory, numbers, out, lines, height, step, share, shares, width = arguments
    spread, products, strip = memory[0][worker], memory[1][worker], memory[2][worker]
    top, start = part // shares * height, part % shares * share
    bottom, count = min(top + height, lines), min(share, out.shape[1] - start)
    columns = -(-count // WIDTH) * WIDTH
    for line in range(top, bottom if count > 0 else top, step):
        end, first = min(line + step, bottom), 2 * line * width
        rows = min(2 * end * width, out.shape[0]) - first
        sums = strip[: rows * columns].reshape(rows, columns)
        convolve_tiles(image, line, end, width, panels, start, spread, products, sums)
        finish(sums, numbers, start, count, out, first)
