"""Integer products by VNNI instructions: see :mod:`axsim.kernels.vnni_numba`."""

from __future__ import annotations

from typing import Any

import numpy as np

from axsim.kernels import vnni_numba as vnni
from axsim.kernels.arithmetic import MAX_INNER_BYTES
from axsim.kernels.array import Array
from axsim.kernels.integer import Packed, Product, check_inner, share_of_zero
from axsim.kernels.qparams import QParams
from axsim.kernels.scratch import Scratch
from axsim.kernels.tiles_numba import WIDTH


class VnniBackend:
    """See :class:`axsim.kernels.integer.Backend`."""

    name = "vnni"

    def __init__(self) -> None:
        self._scratch = Scratch()

    def pack(self, codes: Array) -> Packed:
        """See :class:`~axsim.kernels.integer.Backend`."""
        check_inner(codes.shape[1])
        return _VnniPacked((vnni.panels_of(codes),), codes.shape, 0, self._scratch)

    def pack_bytes(self, codes: Array) -> Packed:
        """See :class:`~axsim.kernels.integer.Backend`."""
        check_inner(len(codes), MAX_INNER_BYTES)
        right = vnni.panels_of_codes(codes, 8), vnni.panels_of_codes(codes)
        return _VnniPacked(right, codes.shape[::-1], 128, self._scratch)

    def product_codes(self, b: Array, zeros: tuple[int, int, int], multiplier: float) -> Product:
        """See :class:`~axsim.kernels.integer.Backend`."""
        check_inner(len(b), MAX_INNER_BYTES)
        right = (vnni.panels_of_codes(b),)
        packed = _VnniPacked(right, b.shape[::-1], 128 - zeros[1], self._scratch)
        correction = -share_of_zero(b, zeros[0], zeros[1])
        factors = np.full(b.shape[1], multiplier, np.float32)
        y = QParams(1.0, zeros[2], "u8")
        return lambda a, out: packed.requantise(a, correction, factors, y, out)


class _VnniPacked(Packed):
    """Operands side by side, of ``shape`` [N, K] each. ``offset`` was taken from their codes."""

    def __init__(
        self, operands: tuple[Array, ...], shape: tuple[int, ...], offset: int, scratch: Scratch
    ) -> None:
        self._operands, self._shape, self._offset = operands, shape, offset
        self._scratch = scratch

    def sums(self, a: Array) -> Array:
        product, columns = self._product(a), self._shape[0]
        parts = []
        for panels in self._operands:
            part = np.empty((len(a), len(panels) * WIDTH), np.int32)
            vnni.sums(product._replace(panels=(panels,)), part)
            parts.append(part[:, :columns])
        return parts[0] if len(parts) == 1 else np.hstack(parts)

    def _unfinished(self, a: Array) -> tuple[Any, Any]:
        return vnni, self._product(a)

    def _product(self, a: Array) -> vnni.Product:
        rows, inner = a.shape
        first = vnni.row_sums(a, self._offset) if self._offset else np.zeros(rows, np.int32)
        if inner % vnni.QUAD:
            whole = -(-inner // vnni.QUAD) * vnni.QUAD
            full = self._scratch.array("codes", (rows, whole), np.uint8)
            full[:, :inner] = a
            a = full
        shape = vnni.strip_shape(rows, len(self._operands))
        return vnni.Product(a, first, self._operands, self._scratch.array("strip", shape, np.int32))
