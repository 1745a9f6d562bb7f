"""Matrix products by vectors, in loops compiled by numba.

The right operand lies in panels: columns of the product side by side, as many as two vectors hold,
and of these one word after another, a float32 number, four S8 ones or two S16 ones.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from axsim.kernels.array import Array
from axsim.kernels.jit import compiled
from axsim.kernels.scratch import aligned
from axsim.kernels.vectors.tiles import LINE, ROWS, WIDTH, prefetch, tile_of

WORDS = 256
"""Words multiplied at a time: a panel of them fits the L1 cache, 240 rows of them the L2 cache."""

_tile, _low_tile, _line_tile = (tile_of(rows) for rows in (ROWS, 3, 1))


def panels_of(right: Array, numbers: int = 0) -> Array:
    """Words [N / WIDTH, words, WIDTH] of float32, int8 or int16 numbers [N, K], filled up with
    zeros; each of so many ``numbers``, or of 4 bytes."""
    columns, inner = right.shape
    numbers = numbers or 4 // right.itemsize
    count, words = -(-columns // WIDTH), -(-inner // numbers)
    full = right
    if full.shape != (whole := (count * WIDTH, words * numbers)) or numbers > 1:
        full = np.zeros(whole, right.dtype)
        full[:columns, :inner] = right
        full = full.view(f"i{numbers * right.itemsize}") if numbers > 1 else full
    panels = aligned((count, words, WIDTH), full.dtype)
    np.copyto(panels, full.reshape(count, WIDTH, words).swapaxes(1, 2))
    return panels


def stacked(parts: Array) -> Array:
    """The panels of each of several right operands, in one array."""
    first = panels_of(parts[0])
    panels = aligned((len(parts), *first.shape), first.dtype)
    panels[0] = first
    for n, part in enumerate(parts[1:], 1):
        panels[n] = panels_of(part)
    return panels


@compiled
def multiply(a: Any, first: Any, panels: Any, start: Any, out: Any, left: Any, width: Any) -> None:
    """``width`` columns of a product from ``start`` on, into those of ``out`` [M, ...] from
    ``left`` on; all three multiples of a panel's width.

    ``a``: float32 [M, words], U8 [M, 4 words] or int16 [M, 2 words];
    ``panels``: of :func:`panels_of`; ``first`` [M]:
    what each row's sums begin with. ``first`` and ``out``: float32, or int32. All C-contiguous.
    """
    rows, columns = out.shape
    words, inner = panels.shape[1], a.shape[1]
    numbers = 4 // a.itemsize  # in a word
    codes, right, flat = a.reshape(-1), panels.reshape(-1), out.reshape(-1)
    across, lines = panels.shape[2], panels.shape[2] // LINE
    for word in range(0, words, WORDS):
        some, add = min(words - word, WORDS), word > 0
        # Of the next panel, what each tile asks for; few rows read panels as fast as they come.
        share = some * lines * ROWS // rows + 1 if rows > ROWS else 0
        for column in range(0, width, WIDTH):
            at = ((start + column) // WIDTH * words + word) * across
            following = at + words * across
            i = 0
            while i < rows:
                for _ in range(share):
                    prefetch(right, following)
                    following += LINE
                x, y = i * inner + word * numbers, i * columns + left + column
                if i + ROWS <= rows:
                    _tile(codes, x, inner, right, at, flat, y, columns, first, i, some, add)
                    i += ROWS
                elif i + 3 <= rows:
                    _low_tile(codes, x, inner, right, at, flat, y, columns, first, i, some, add)
                    i += 3
                else:
                    _line_tile(codes, x, inner, right, at, flat, y, columns, first, i, some, add)
                    i += 1
