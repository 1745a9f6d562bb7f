"""Byte products by the VNNI instructions of x86 CPUs, in loops compiled by numba."""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import binding
from numba import njit

from axsim.graph.array import Array
from axsim.quantization.vnni_tile import LINE, QUAD, WIDTH, prefetch, tile_of

_ROWS = 12
"""Rows of a tile: its 24 sums and what they are made of fill the 32 vector registers."""
_INNER = 1024
"""Inner numbers multiplied at a time, so that blocks of rows stay in the L2 cache."""

_compiled = njit(nogil=True, cache=True, error_model="numpy")


def supported() -> bool:
    """Whether this CPU has the instructions."""
    features = binding.get_host_cpu_features()
    return bool(features.get("avx512f") and features.get("avx512vnni"))


def panels_of(codes: Array) -> Array:
    """int8 [N, K] as panels [N / 32, K / 4, 128], filled up with zeros: each holds 32 columns of
    the product, and of these four numbers after four numbers."""
    panels = _panels(*codes.shape)
    _pack(codes, panels)
    return panels


def panels_of_codes(codes: Array, shift: int = 0) -> Array:
    """One byte of U8 or U16 codes [K, N], that ``shift`` bits up, less 128, as panels."""
    panels = _panels(*codes.shape[::-1])
    _pack_codes(codes, np.uint16(shift), panels)
    return panels


def _panels(columns: int, inner: int) -> Array:
    shape = -(-columns // WIDTH), -(-inner // QUAD), WIDTH * QUAD
    memory = np.zeros(shape[0] * shape[1] * shape[2] + LINE, np.int8)
    start = -memory.ctypes.data % LINE
    panels: Array = memory[start : start + memory.size - LINE].reshape(shape)
    return panels


def row_sums(a: Array, factor: int) -> Array:
    """int32 sums of the rows of U8 codes, times ``factor``."""
    sums = np.empty(len(a), np.int32)
    _row_sums(a, np.int32(factor), sums)
    return sums


def multiply(a: Array, panels: Array, first: Array, out: Array, left: int = 0) -> None:
    """Write int32 sums to the columns of ``out`` [M, 32 P or more] from ``left`` on.

    ``first[i]`` (int32) plus the products of U8 codes ``a`` [M, K] and panels [P, K / 4, 128]; K is
    the multiple of 4 that the panels have. All C-contiguous.
    """
    _multiply(a.reshape(-1), panels.reshape(-1), len(panels), panels.shape[1], first, out, left)


_tile, _low_tile, _line_tile = (tile_of(rows) for rows in (_ROWS, 3, 1))


@_compiled
def _multiply(a: Any, panels: Any, count: Any, quads: Any, first: Any, out: Any, left: Any) -> None:
    rows, columns = out.shape
    inner, size = quads * QUAD, quads * QUAD * WIDTH
    flat = out.reshape(-1)
    for start in range(0, quads, _INNER // QUAD):
        some = min(quads - start, _INNER // QUAD)
        # Of the next panel, what each tile asks for; few rows read panels as fast as they come.
        share = some * QUAD * WIDTH * _ROWS // (LINE * rows) + 1 if rows > _ROWS else 0
        for p in range(count):
            at = p * size + start * QUAD * WIDTH
            following = at + size
            i = 0
            while i < rows:
                for _ in range(share):
                    prefetch(panels, following)
                    following += LINE
                x, y = i * inner + start * QUAD, i * columns + left + p * WIDTH
                if i + _ROWS <= rows:
                    _tile(a, x, inner, panels, at, flat, y, columns, first, i, some, start > 0)
                    i += _ROWS
                elif i + 3 <= rows:
                    _low_tile(a, x, inner, panels, at, flat, y, columns, first, i, some, start > 0)
                    i += 3
                else:
                    _line_tile(a, x, inner, panels, at, flat, y, columns, first, i, some, start > 0)
                    i += 1


@_compiled
def _pack(codes: Any, panels: Any) -> None:
    for n in range(codes.shape[0]):
        panel, column = panels[n // WIDTH], n % WIDTH * QUAD
        for k in range(codes.shape[1]):
            panel[k // QUAD, column + k % QUAD] = codes[n, k]


@_compiled
def _pack_codes(codes: Any, shift: Any, panels: Any) -> None:
    for k in range(codes.shape[0]):
        for n in range(codes.shape[1]):
            code = (np.uint16(codes[k, n]) >> shift) & np.uint16(255)
            panels[n // WIDTH, k // QUAD, n % WIDTH * QUAD + k % QUAD] = np.int16(code) - 128


@_compiled
def _row_sums(a: Any, factor: Any, sums: Any) -> None:
    for i in range(a.shape[0]):
        row, total = a[i], np.uint32(0)
        for j in range(row.size):
            total = np.uint32(total + row[j])
        sums[i] = np.int32(total) * factor
