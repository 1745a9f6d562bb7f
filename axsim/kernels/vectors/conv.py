"""Convolutions by vectors, in loops compiled by numba.

Pixels of an image lie side by side, the channels of each together. So a window is a few *pieces* of
memory, one for each line of taps, and rows of a tile may be windows where they lie, overlapping as
they are: nothing is copied.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from axsim.kernels.conv_numba import finished
from axsim.kernels.finish_numba import requantise
from axsim.kernels.jit import compiled, inlined, wide_vectors
from axsim.kernels.vectors.multiply import WORDS
from axsim.kernels.vectors.tiles import LINE, ROWS, WIDTH, prefetch, scattered_tile_of

SHORT = 128
"""Words of a sum of float32 numbers, which are added up afterwards: long sums lose digits."""

_tile, _low_tile, _line_tile = (scattered_tile_of(rows) for rows in (ROWS, 3, 1))


@compiled
def convolve(
    image: Any, places: Any, pieces: Any, run: Any, panels: Any, start: Any, zeros: Any, out: Any
) -> None:
    """Columns from ``start`` on of the sums of windows, to all columns of ``out`` [M, W].

    Row i sums the products of ``run`` words of ``image``, a flat array of float32, U8 or S16
    numbers, from ``places[i] + pieces[p]`` on with words p * run and on of ``panels``
    (:func:`axsim.kernels.vectors.multiply.panels_of`), for every p. ``zeros`` [M] and ``out``:
    float32, or int32 of codes. W and ``start`` are multiples of a panel's width.
    """
    rows, columns = out.shape
    words, numbers = panels.shape[1], 4 // image.itemsize
    right, flat = panels.reshape(-1), out.reshape(-1)
    length = WORDS if numbers > 1 else SHORT
    together = max(1, length // run)  # pieces
    for column in range(0, columns, WIDTH):
        base = (start + column) // WIDTH * words
        for piece in range(0, pieces.size, together):
            several = min(pieces.size - piece, together)
            for word in range(0, run, length):
                some, add = min(run - word, length), piece + word > 0
                at = (base + piece * run + word) * WIDTH
                following = at + several * some * WIDTH
                share = several * some * (WIDTH // LINE) * ROWS // rows + 1 if rows > ROWS else 0
                x, i = word * numbers, 0
                while i < rows:
                    for _ in range(share):
                        prefetch(right, following)
                        following += LINE
                    y = i * columns + column
                    if i + ROWS <= rows:
                        _tile(
                            image, x, places, i, pieces, piece, several, right, at, flat, y,
                            columns, zeros, i, some, add,
                        )  # fmt: skip
                        i += ROWS
                    elif i + 3 <= rows:
                        _low_tile(
                            image, x, places, i, pieces, piece, several, right, at, flat, y,
                            columns, zeros, i, some, add,
                        )  # fmt: skip
                        i += 3
                    else:
                        _line_tile(
                            image, x, places, i, pieces, piece, several, right, at, flat, y,
                            columns, zeros, i, some, add,
                        )  # fmt: skip
                        i += 1


@inlined
def convolve_floats(
    image: Any, places: Any, begin: Any, end: Any, pieces: Any, run: Any, panels: Any, start: Any,
    count: Any, bias: Any, other: Any, adds: Any, low: Any, high: Any, swish: Any, strip: Any,
    out: Any, left: Any,
) -> None:  # fmt: skip
    """Rows ``begin`` to ``end`` and ``count`` columns from ``left`` on of ``out`` [M, N]: sums of
    float32 windows and what becomes of them (:class:`axsim.kernels.pixels.Finish`), some rows at a
    time.

    They are the columns of ``panels`` from ``start`` on. ``strip`` [rows, columns] is memory for
    sums that fill no whole panels of ``out``, for as many rows as are done at a time.
    """
    whole = -(-count // WIDTH) * WIDTH
    across, factors = strip.reshape(-1), bias[left : left + count]
    zeros = np.zeros(strip.shape[0], np.float32)
    for top in range(begin, end, strip.shape[0]):
        some = places[top : min(top + strip.shape[0], end)]
        if whole == out.shape[1]:
            sums = out[top : top + some.size]
        else:
            sums = across[: some.size * whole].reshape(some.size, whole)
        convolve(image, some, pieces, run, panels, start, zeros, sums)
        finished(sums, factors, other, adds, low, high, swish, out, top, left)


@inlined
def convolve_codes(
    image: Any, places: Any, pieces: Any, run: Any, panels: Any, first: Any, last: Any, strip: Any,
    columns: Any, shift: Any, multiplier: Any, low: Any, high: Any, zero: Any, out: Any, left: Any,
) -> None:  # fmt: skip
    """Columns ``first`` to ``last`` of those of ``out`` [M, ...] from ``left`` on: sums of windows
    of codes, requantised.

    ``strip`` is memory for the sums of ``columns`` columns, which stay in a core's cache.
    """
    wide_vectors()
    rows = places.size
    zeros = np.zeros(rows, np.int32)
    for start in range(first, last, columns):
        stop = min(start + columns, last)
        width = -(-(stop - start) // WIDTH) * WIDTH
        sums = strip[: rows * width].reshape(rows, width)
        convolve(image, places, pieces, run, panels, start, zeros, sums)
        requantise(
            sums.reshape(rows, 1, width), shift[start:stop], multiplier[start:stop], low, high,
            zero, out, left + start,
        )  # fmt: skip
