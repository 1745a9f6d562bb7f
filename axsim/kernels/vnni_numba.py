"""Byte products by the VNNI instructions of x86 CPUs, in loops compiled by numba."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit

from axsim.kernels import tiles_numba
from axsim.kernels.array import Array
from axsim.kernels.loops_numba import (
    limits,
    requantise_pairs,
    requantise_s32,
    requantise_u16,
    rounding,
    to_floats,
)
from axsim.kernels.panels_numba import multiply
from axsim.kernels.qparams import QParams
from axsim.kernels.tiles_numba import LINE, WIDTH

QUAD = 4
"""Bytes of a word."""
_STRIP = 1 << 16
"""Sums of a strip: a fifth of an L2 cache."""

_compiled = njit(nogil=True, cache=True, error_model="numpy")


def supported() -> bool:
    """Whether this CPU has the instructions."""
    return tiles_numba.supported("avx512vnni")


def panels_of(codes: Array) -> Array:
    """int8 [N, K] as panels [N / 32, K / 4, 128], filled up with zeros: each holds 32 columns of
    the product, and of these four numbers after four numbers."""
    panels = _panels(*codes.shape)
    _pack_columns(codes, np.int32(0), np.int32(0), panels)
    return panels


def panels_of_codes(codes: Array, shift: int = 0) -> Array:
    """One byte of U8 or U16 codes [K, N], that ``shift`` bits up, less 128, as panels."""
    panels = _panels(*codes.shape[::-1])
    if codes.strides[0] < codes.strides[1]:
        _pack_columns(codes.T, np.int32(shift), np.int32(128), panels)
    else:
        _pack_rows(codes, np.int32(shift), np.int32(128), panels)
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


def strip_shape(rows: int, operands: int) -> tuple[int, int, int]:
    """Rows, operands and columns of sums that stay in a core's cache until they are finished."""
    return rows, operands, max(1, _STRIP // (rows * operands * WIDTH)) * WIDTH


class Product(NamedTuple):
    """Operands of byte products. All C-contiguous.

    ``a``: U8 codes [M, K], where K is the multiple of 4 that the panels have; ``first``: int32 [M],
    what each row's sums begin with; ``panels``: right operands side by side; ``strip``: memory of
    :func:`strip_shape`.

    The functions below compute the sums of one strip of columns after another and finish them, as
    the functions of their names in :mod:`axsim.kernels.loops_numpy` do.
    """

    a: Array
    first: Array
    panels: tuple[Array, ...]
    strip: Array


def sums(product: Product, out: Array) -> None:
    """All sums, as int32 [M, 32 P] for one right operand of P panels."""
    multiply(product.a, product.first, product.panels[0], 0, out, 0, out.shape[1])


def requantise(
    product: Product, correction: Array, multiplier: Array, y: QParams, out: Array
) -> None:
    """For U8 codes ``a``."""
    _requantise(product, correction.astype(np.int32), multiplier, *limits(y), out)


def requantise_bytes(
    product: Product, correction: Array, multiplier: Array, y: QParams, out: Array
) -> None:
    """For the bytes of U16 codes."""
    _requantise_bytes(product, correction.astype(np.float64), multiplier, *limits(y), out)


def requantise_byte_pairs(
    product: Product, rows: Array, columns: Array, multiplier: Array, y: QParams, out: Array
) -> None:
    """For the bytes of U16 codes on both sides: panels of high ones and of low ones."""
    _requantise_byte_pairs(product, rows, columns, multiplier, *limits(y), out)


def from_fixed_point(
    product: Product,
    grid: Array,
    shares: Array,
    scale: Array,
    bias: Array,
    y: Array,
    top: int,
    left: int,
    to_bf16: bool,
) -> None:
    """For the bytes of whole numbers."""
    _to_floats(product, grid, shares, scale, bias, y, top, left, *rounding(to_bf16))


@_compiled
def _strip_of(product: Any, start: Any, stop: Any) -> Any:
    """Sums [M, operands * n] of columns ``start`` to ``stop`` and on to the end of a panel."""
    width = -(-(stop - start) // WIDTH) * WIDTH
    rows, columns = product.strip.shape[0], product.strip.shape[1] * width
    strip = product.strip.reshape(-1)[: rows * columns].reshape(rows, columns)
    for i in range(product.strip.shape[1]):
        right = product.panels[i]
        multiply(product.a, product.first, right, start, strip, i * width, width)
    return strip


@_compiled
def _requantise(
    product: Any, correction: Any, multiplier: Any, low: Any, high: Any, zero: Any, out: Any
) -> None:
    step = product.strip.shape[2]
    for start in range(0, correction.size, step):
        stop = min(start + step, correction.size)
        strip = _strip_of(product, start, stop)
        part, factor = correction[start:stop], multiplier[start:stop]
        requantise_s32(strip, part, factor, low, high, zero, out, start)


@_compiled
def _requantise_bytes(
    product: Any, correction: Any, multiplier: Any, low: Any, high: Any, zero: Any, out: Any
) -> None:
    step = product.strip.shape[2]
    for start in range(0, correction.size, step):
        stop = min(start + step, correction.size)
        strip = _strip_of(product, start, stop)
        part, factor = correction[start:stop], multiplier[start:stop]
        requantise_u16(strip, part, factor, low, high, zero, out, start)


@_compiled
def _requantise_byte_pairs(
    product: Any,
    rows: Any,
    columns: Any,
    multiplier: Any,
    low: Any,
    high: Any,
    zero: Any,
    out: Any,
) -> None:
    step = product.strip.shape[2]
    for start in range(0, columns.size, step):
        stop = min(start + step, columns.size)
        strip = _strip_of(product, start, stop)
        part, factor = columns[start:stop], multiplier[start:stop]
        requantise_pairs(strip, rows, part, factor, low, high, zero, out, start)


@_compiled
def _to_floats(
    product: Any,
    grid: Any,
    shares: Any,
    scale: Any,
    bias: Any,
    y: Any,
    top: Any,
    left: Any,
    rounded: Any,
    kept: Any,
) -> None:
    step = product.strip.shape[2]
    for start in range(0, shares.size, step):
        stop = min(start + step, shares.size)
        strip = _strip_of(product, start, stop)
        share, factor, constant = shares[start:stop], scale[start:stop], bias[start:stop]
        at = left + start
        to_floats(strip, grid, share, factor, constant, y, top, at, rounded, kept)


@_compiled
def _pack_columns(codes: Any, shift: Any, less: Any, panels: Any) -> None:
    for n in range(codes.shape[0]):
        panel, column = panels[n // WIDTH], n % WIDTH * QUAD
        for k in range(codes.shape[1]):
            code = (np.int32(codes[n, k]) >> shift) & np.int32(255)
            panel[k // QUAD, column + k % QUAD] = np.int8(code - less)


@_compiled
def _pack_rows(codes: Any, shift: Any, less: Any, panels: Any) -> None:
    for k in range(codes.shape[0]):
        for n in range(codes.shape[1]):
            code = (np.int32(codes[k, n]) >> shift) & np.int32(255)
            panels[n // WIDTH, k // QUAD, n % WIDTH * QUAD + k % QUAD] = np.int8(code - less)


@_compiled
def _row_sums(a: Any, factor: Any, sums: Any) -> None:
    for i in range(a.shape[0]):
        row, total = a[i], np.uint32(0)
        for j in range(row.size):
            total = np.uint32(total + row[j])
        sums[i] = np.int32(total) * factor
