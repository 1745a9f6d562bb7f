"""Integer products by VNNI instructions: see :mod:`axsim.quantization.vnni_numba`.

Columns come in strips, whose sums are used up while they are in the core's cache.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from axsim.graph.array import Array
from axsim.graph.kernels.scratch import Scratch
from axsim.quantization.arithmetic import MAX_INNER_BYTES
from axsim.quantization.integer import Packed, check_inner
from axsim.quantization.loops import loops
from axsim.quantization.qparams import QParams
from axsim.quantization.vnni_numba import (
    multiply,
    panels_of,
    panels_of_codes,
    row_sums,
    supported,
)
from axsim.quantization.vnni_tile import QUAD, WIDTH

__all__ = ["VnniBackend", "supported"]

_STRIP = 256
"""Columns of a strip: 240 rows of them are a fifth of an L2 cache."""


class VnniBackend:
    """See :class:`axsim.quantization.integer.Backend`."""

    name = "vnni"

    def __init__(self) -> None:
        self._scratch = Scratch()

    def pack(self, codes: Array) -> Packed:
        """See :class:`~axsim.quantization.integer.Backend`."""
        check_inner(codes.shape[1])
        return _VnniPacked([panels_of(codes)], codes.shape, 0, self._scratch)

    def pack_bytes(self, codes: Array) -> Packed:
        """See :class:`~axsim.quantization.integer.Backend`."""
        check_inner(len(codes), MAX_INNER_BYTES)
        right = [panels_of_codes(codes, shift) for shift in (8, 0)]
        return _VnniPacked(right, codes.shape[::-1], 128, self._scratch)

    def product_codes(
        self, a: Array, b: Array, zeros: tuple[int, int, int], multiplier: float, out: Array
    ) -> None:
        """See :class:`~axsim.quantization.integer.Backend`."""
        check_inner(len(b), MAX_INNER_BYTES)
        packed = _VnniPacked([panels_of_codes(b)], b.shape[::-1], 128 - zeros[1], self._scratch)
        correction = -zeros[0] * (b.sum(axis=0, dtype=np.int64) - len(b) * zeros[1])
        factors = np.full(b.shape[1], multiplier, np.float32)
        for start, sums in packed.strips(a):
            part = slice(start, start + sums.shape[1])
            y = QParams(1.0, zeros[2], "u8")
            loops().requantise(sums, correction[part], factors[part], y, out, start)


class _VnniPacked:
    """Operands side by side, of ``shape`` [N, K] each. ``offset`` was taken from their codes."""

    def __init__(
        self, operands: list[Array], shape: tuple[int, ...], offset: int, scratch: Scratch
    ) -> None:
        self._operands, self._shape, self._offset = operands, shape, offset
        self._scratch = scratch

    def strips(self, a: Array) -> Iterator[tuple[int, Array]]:
        a, first = self._left(a)
        for start in range(0, self._shape[0], _STRIP):
            yield start, self._columns(a, first, start, start + _STRIP)

    def sums(self, a: Array) -> Array:
        columns, count = self._shape[0], len(self._operands)
        sums = self._columns(*self._left(a), 0, columns)
        return sums.reshape(len(a), count, -1)[:, :, :columns].reshape(len(a), -1)

    def prepared(self, a: Array) -> Callable[[], Array]:
        return lambda: self.sums(a)

    def _columns(self, a: Array, first: Array, start: int, stop: int) -> Array:
        parts = [panels[start // WIDTH : -(-stop // WIDTH)] for panels in self._operands]
        width = len(parts[0]) * WIDTH
        out = self._scratch.array("sums", (len(a), width * len(parts)), np.int32)
        for i, part in enumerate(parts):
            multiply(a, part, first, out, i * width)
        return out

    def _left(self, a: Array) -> tuple[Array, Array]:
        """``a`` with its inner size filled up, and what the sums of each row begin with."""
        inner = a.shape[1]
        if inner % QUAD:
            full = self._scratch.array("codes", (len(a), -(-inner // QUAD) * QUAD), np.uint8)
            full[:, :inner] = a
            a = full
        return a, row_sums(a[:, :inner], self._offset)
