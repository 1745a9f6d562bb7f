"""Matrix products by 512-bit vectors, in loops compiled by numba.

The right operand lies in panels: 32 columns of the product side by side, and of these one word
after another, a float32 number or four S8 ones.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from axsim.kernels.array import Array
from axsim.kernels.float_loops_numba import exponentials_of
from axsim.kernels.tiles_numba import WIDTH, prefetch, supported, tile_of

_ROWS = 12
"""Rows of a tile: its 24 sums and what they are made of fill the 32 vector registers."""
_WORDS = 256
"""Words multiplied at a time: a panel of them fits the L1 cache, 240 rows of them the L2 cache."""

_BLOCK = 48
"""Query rows of a block, whose scores stay in the L2 cache beside keys and values."""
_PAGE = 1024
"""Float32 numbers of 4 KB: rows that far apart share lines of the L1 cache."""

_compiled = njit(nogil=True, cache=True, error_model="numpy")

_tile, _low_tile, _line_tile = (tile_of(rows) for rows in (_ROWS, 3, 1))


def attends(q: Array, k: Array, v: Array) -> bool:
    """Whether :func:`attend` takes such heads, on this CPU."""
    real = all(x.dtype == np.float32 for x in (q, k, v))
    return real and q.shape[-1] == v.shape[-1] and q.shape[-1] % WIDTH == 0 and supported()


def attend(q: Array, k: Array, v: Array, out: Array) -> None:
    """``softmax(q @ k) @ v`` in float32 for one head: q and ``out`` [T, d], k [d, S], v [S, d].

    d is a multiple of 32. None need be contiguous. Sums have the same order on any number of
    threads.
    """
    keys, width = v.shape
    columns = -(-keys // WIDTH) * WIDTH
    step = columns + WIDTH if columns % _PAGE == 0 else columns
    by_key = np.zeros((columns // WIDTH, width, WIDTH), np.float32)
    by_channel = np.empty((width // WIDTH, keys, WIDTH), np.float32)
    _pack_columns(k.T, by_key)
    _pack_rows(v, by_channel)
    scores = np.empty((_BLOCK, step), np.float32)
    context = np.empty((_BLOCK, width), np.float32)
    _attend(np.ascontiguousarray(q), by_key, by_channel, scores, context, out)


@_compiled
def multiply(a: Any, first: Any, panels: Any, start: Any, out: Any, left: Any, width: Any) -> None:
    """``width`` columns of a product from ``start`` on, into those of ``out`` [M, ...] from
    ``left`` on; all three multiples of a panel's width.

    ``a``: float32 [M, words], or U8 [M, 4 words]; ``first`` [M]: what each row's sums begin with.
    ``first`` and ``out``: float32, or int32. All C-contiguous.
    """
    rows, columns = out.shape
    words, inner = panels.shape[1], a.shape[1]
    numbers = 4 // a.itemsize  # in a word
    codes, right, flat = a.reshape(-1), panels.reshape(-1), out.reshape(-1)
    line, across = panels.shape[2] // 2, panels.shape[2]
    for word in range(0, words, _WORDS):
        some, add = min(words - word, _WORDS), word > 0
        # Of the next panel, what each tile asks for; few rows read panels as fast as they come.
        share = some * 2 * _ROWS // rows + 1 if rows > _ROWS else 0
        for column in range(0, width, WIDTH):
            at = ((start + column) // WIDTH * words + word) * across
            following = at + words * across
            i = 0
            while i < rows:
                for _ in range(share):
                    prefetch(right, following)
                    following += line
                x, y = i * inner + word * numbers, i * columns + left + column
                if i + _ROWS <= rows:
                    _tile(codes, x, inner, right, at, flat, y, columns, first, i, some, add)
                    i += _ROWS
                elif i + 3 <= rows:
                    _low_tile(codes, x, inner, right, at, flat, y, columns, first, i, some, add)
                    i += 3
                else:
                    _line_tile(codes, x, inner, right, at, flat, y, columns, first, i, some, add)
                    i += 1


@_compiled
def _attend(q: Any, by_key: Any, by_channel: Any, scores: Any, context: Any, out: Any) -> None:
    keys, width = by_channel.shape[1], q.shape[1]
    nothing, totals = np.zeros(_BLOCK, np.float32), np.empty(_BLOCK, np.float32)
    for top in range(0, q.shape[0], _BLOCK):
        rows = min(_BLOCK, q.shape[0] - top)
        multiply(q[top : top + rows], nothing, by_key, 0, scores[:rows], 0, by_key.shape[0] * WIDTH)
        for i in range(rows):
            totals[i] = exponentials_of(scores[i, :keys], True)
        multiply(scores[:rows], nothing, by_channel, 0, context[:rows], 0, width)
        for i in range(rows):
            factor = np.float32(1) / totals[i]
            for j in range(width):
                out[top + i, j] = context[i, j] * factor


@_compiled
def _pack_columns(b: Any, panels: Any) -> None:
    """Columns [N, K] in panels [P, K, 32]."""
    for n in range(b.shape[0]):
        panel, column = panels[n // WIDTH], n % WIDTH
        for k in range(b.shape[1]):
            panel[k, column] = b[n, k]


@_compiled
def _pack_rows(b: Any, panels: Any) -> None:
    """Rows [K, N] in panels [P, K, 32]."""
    for k in range(b.shape[0]):
        for n in range(b.shape[1]):
            panels[n // WIDTH, k, n % WIDTH] = b[k, n]
