"""Products of codes: see :class:`axsim.kernels.products.Products`."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from axsim.kernels.array import Array
from axsim.kernels.codes_numba import adding, summing
from axsim.kernels.conv_codes_numba import depthwising
from axsim.kernels.finish import Finish, Requantise, Sum
from axsim.kernels.finish_numba import converting, requantise, requantising, to_floats
from axsim.kernels.jit import compiled, wide_vectors
from axsim.kernels.parallel import ALONE, threads
from axsim.kernels.products import Packed, bytes_of, totals_of
from axsim.kernels.qparams import QParams
from axsim.kernels.scratch import Scratch
from axsim.kernels.vectors import code_tasks, tiles
from axsim.kernels.vectors.multiply import multiply, panels_of
from axsim.kernels.vectors.team import MOST, Task
from axsim.kernels.vectors.tiles import WIDTH
from axsim.kernels.windows import Windows

_LEFT = np.uint8 if tiles.BYTES else np.int16
_NUMBERS = 4 if tiles.BYTES else 2
"""Those of a word."""
_STRIP = 1 << 16
"""Sums of a strip: a fifth of an L2 cache."""
_CODES = 1 << 17
"""Those of windows multiplied at once and of their results, so that they stay near the core."""
_ROWS = 256
"""Windows multiplied at once at least, for which panels are read."""


@lru_cache(maxsize=2)
def supported(wide: bool = True) -> bool:
    """Whether this CPU has the instructions; without ``wide`` only those that take bytes do."""
    return tiles.BYTES or (wide and tiles.supported("avx512bw" if tiles.WIDTH > 16 else "avx2"))


def add(a: Array, qa: QParams, b: Array, qb: QParams, y: QParams, out: Array) -> bool:
    """:func:`axsim.kernels.codes.add` on several threads; False, and nothing is written, where not
    all codes are U8, or there is no such CPU."""
    if not (supported() and a.dtype == b.dtype == out.dtype == np.uint8):
        return False
    workers = threads()
    parts = min(2 * workers, -(-a.size // _STRIP))
    step = -(-a.size // parts)
    code_tasks.add(parts, (*adding(a, qa, b, qb, y, out), step), workers)
    return True


def pad_task(given: np.dtype[Any], wanted: np.dtype[Any]) -> Task | None:
    """What does the work of :func:`axsim.kernels.conv_codes.Padding` with images of such dtypes on
    several threads; None where nothing does."""
    if not (supported() and given == np.uint8 and wanted == _LEFT):
        return None
    return code_tasks.pad


def depthwise(
    taps: Array, zero: int, at: Windows, finish: Requantise, step: int, dtype: np.dtype[Any]
) -> Callable[[Array, Array], None] | None:
    """What does :func:`axsim.kernels.conv_codes.depthwise` of images of ``dtype`` and all lines,
    ``step`` of them at once, on several threads; None likewise."""
    narrow = dtype == finish.y.numpy == np.uint8
    numbers = depthwising(taps, zero, at, finish, dtype) if supported() and narrow else None
    if numbers is None:
        return None
    parts, workers = -(-at.size[0] // step), threads()

    def all_lines(image: Array, out: Array) -> None:
        code_tasks.depthwise(parts, (image, *numbers, out, step), workers)

    return all_lines


class VectorProducts:
    """See :class:`axsim.kernels.products.Products`."""

    name = "vnni" if tiles.BYTES else "int16"

    def pack(self, codes: Array, zero: int = 0) -> Packed:
        """Panels of S8 numbers; from unsigned codes 128 is taken, which each row's sum makes up
        for."""
        return _VectorPacked(bytes_of(codes, zero), totals_of(codes, zero))


class _VectorPacked(Packed):
    image = np.dtype(_LEFT)

    def __init__(self, operands: list[tuple[Array, int]], totals: Array) -> None:
        self._panels = tuple(panels_of(_signed(codes), _NUMBERS) for codes, _ in operands)
        offsets = [128 - zero if codes.dtype == np.uint8 else 0 for codes, zero in operands]
        self._offsets = np.array(offsets, np.int32)
        self.totals = totals

    def sums(self, a: Array) -> Array:
        product = self._product(a)
        width = len(self._panels[0]) * WIDTH
        out = np.empty((len(a), len(self._panels), width), np.int32)
        _sums(product, 0, out)
        return out[:, :, : self.totals.size]

    def windows(
        self, places: Array, pieces: Array, run: int, finish: Finish, dtype: np.dtype[Any],
        left: int = 0, then: Sum | None = None,
    ) -> Callable[[Array, Array, Array | None], None] | None:  # fmt: skip
        """See :class:`axsim.kernels.products.Packed`; pieces of whole words will do."""
        weights = len(self._panels) == 1 and not self._offsets.any()
        whole = dtype == _LEFT and run % _NUMBERS == 0
        if not (weights and whole and isinstance(finish, Requantise)):
            return None
        rows, words, workers = len(places), run // _NUMBERS, threads()
        wanted = max(_ROWS, _CODES // (len(pieces) * run + self.totals.size))
        least = workers if rows * self.totals.size * len(pieces) * run > ALONE else 1
        # Of few rows each thread computes its own columns, for which alone it reads the weights.
        panels = len(self._panels[0])
        shares = min(least, panels) if rows < _ROWS else 1
        step = -(-rows // max(-(-least // shares), min(-(-rows // wanted), MOST)))
        across = -(-panels // shares) * WIDTH
        columns = max(1, _STRIP // (step * WIDTH)) * WIDTH
        parts = -(-rows // step) * shares
        task = code_tasks.windows[np.dtype(finish.y.numpy)]
        where, numbers = (places, pieces, words, self._panels[0]), requantising(finish, True)
        split, units = (step, across, shares), summing(then)

        def product(image: Array, out: Array, other: Array | None = None) -> None:
            strips = _scratch.array("strips", (workers, step * columns), np.int32)
            term = (out if other is None else other, other is not None, *units)
            task(
                parts,
                (image.reshape(-1), *where, strips, columns, numbers, term, out, left, *split),
                workers,
            )

        return product

    def _into(self, a: Array, finish: Finish, out: Array, left: int) -> None:
        product = self._product(a)
        if isinstance(finish, Requantise):
            single = len(a) == len(out) and len(self._panels) == 1
            _requantise(product, *requantising(finish, single), out, left)
        else:
            _to_floats(product, *converting(finish), out, left)

    def _product(self, a: Array) -> _Product:
        rows, inner = a.shape
        first = np.zeros((len(self._panels), rows), np.int32)
        if self._offsets.any():
            _row_sums(a, self._offsets, first)
        if inner % _NUMBERS or a.dtype != _LEFT:
            full = _scratch.array("codes", (rows, -(-inner // _NUMBERS) * _NUMBERS), _LEFT)
            full[:, :inner] = a
            a = full
        operands = len(self._panels)
        columns = max(1, _STRIP // (rows * operands * WIDTH)) * WIDTH
        strip = _scratch.array("strip", (rows * operands * columns,), np.int32)
        return _Product(a, first, self._panels, strip, columns)


_scratch = Scratch()


def _signed(codes: Array) -> Array:
    """int8 codes as they are, U8 ones less 128."""
    return codes if codes.dtype == np.int8 else (codes ^ np.uint8(128)).view(np.int8)


class _Product(NamedTuple):
    """Operands of byte products. All C-contiguous.

    ``a``: codes [M, K] in whole words; ``first``: int32
    [Q, M], what each row's sums begin with; ``panels``: of Q right operands; ``strip``: memory for
    the sums of ``columns`` columns, which stay in a core's cache until they are finished.
    """

    a: Array
    first: Array
    panels: tuple[Array, ...]
    strip: Array
    columns: int


@compiled
def _sums(product: Any, start: Any, out: Any) -> None:
    """Columns from ``start`` on of all operands' sums [M, Q, W], where W is a multiple of 32."""
    rows, operands, width = out.shape
    flat = out.reshape(rows, operands * width)
    for i in range(operands):
        right = product.panels[i]
        multiply(product.a, product.first[i], right, start, flat, i * width, width)


@compiled
def _strip_of(product: Any, start: Any, stop: Any) -> Any:
    """Sums [M, Q, W] of columns ``start`` to ``stop`` and on to the end of a panel."""
    width = -(-(stop - start) // WIDTH) * WIDTH
    operands, rows = product.first.shape
    strip = product.strip[: rows * operands * width].reshape(rows, operands, width)
    _sums(product, start, strip)
    return strip


@compiled
def _requantise(
    product: Any, shift: Any, multiplier: Any, low: Any, high: Any, zero: Any, out: Any, left: Any
) -> None:
    wide_vectors()
    for start in range(0, shift.size, product.columns):
        stop = min(start + product.columns, shift.size)
        strip, at = _strip_of(product, start, stop), left + start
        requantise(strip, shift[start:stop], multiplier[start:stop], low, high, zero, out, at)


@compiled
def _to_floats(
    product: Any, grid: Any, shift: Any, scale: Any, bias: Any, to_bf16: Any, out: Any, left: Any
) -> None:
    wide_vectors()
    for start in range(0, shift.size, product.columns):
        stop = min(start + product.columns, shift.size)
        strip, at = _strip_of(product, start, stop), left + start
        share, factor, constant = shift[start:stop], scale[start:stop], bias[start:stop]
        to_floats(strip, grid, share, factor, constant, to_bf16, out, at)


@compiled
def _row_sums(a: Any, factors: Any, sums: Any) -> None:
    for i in range(a.shape[0]):
        row, total = a[i], np.uint32(0)
        for j in range(row.size):
            total = np.uint32(total + row[j])
        for q in range(factors.size):
            sums[q, i] = np.int32(total) * factors[q]
