"""Exact products of integer codes, in plain numpy.

:class:`NumpyBackend` needs numpy only. :mod:`axsim.kernels.onnx_backend` computes the same
sums several times faster through onnxruntime, and :mod:`axsim.kernels.vnni_backend` faster
still on the CPUs it is for; :func:`best_backend` picks. All are exact, hence bit-identical: see
:mod:`axsim.kernels.arithmetic`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Protocol

import numpy as np

from axsim.kernels.arithmetic import MAX_INNER_BYTES, MAX_INNER_U8
from axsim.kernels.array import Array
from axsim.kernels.compiled import compiled
from axsim.kernels.loops import loops
from axsim.kernels.qparams import QParams

Product = Callable[[Array, Array], None]
"""Writes the product of C-contiguous codes [M, K] and a fixed right operand to [M, N]."""


class Packed(ABC):
    """A right operand of N columns made ready for products by one backend.

    Left operands are C-contiguous U8 codes ``a`` [M, K]. Products are finished by the passes of
    :mod:`axsim.kernels.loops_numpy` of the same names, which say what they do.
    """

    @abstractmethod
    def sums(self, a: Array) -> Array:
        """Exact int32 [M, N], to be used up before the thread's next."""

    def _unfinished(self, a: Array) -> tuple[Any, Any]:
        """A module of passes, and what they take as the sums of the product."""
        return loops(), self.sums(a)

    def prepared(self, a: Array) -> Packed:
        """This operand for products with ``a`` alone, filled anew before each, by one thread at a
        time."""
        return self

    def requantise(
        self, a: Array, correction: Array, multiplier: Array, y: QParams, out: Array
    ) -> None:
        """Codes [M, N] of the product of U8 codes."""
        passes, sums = self._unfinished(a)
        passes.requantise(sums, correction, multiplier, y, out)

    def requantise_bytes(
        self, a: Array, correction: Array, multiplier: Array, y: QParams, out: Array
    ) -> None:
        """Codes [M / 2, N] of the product of U16 codes, whose bytes ``a`` holds."""
        passes, sums = self._unfinished(a)
        passes.requantise_bytes(sums, correction, multiplier, y, out)

    def requantise_byte_pairs(
        self,
        a: Array,
        rows: Array,
        columns: Array,
        multiplier: Array,
        y: QParams,
        out: Array,
    ) -> None:
        """Codes [M / 2, N / 2] of the product of U16 codes with bytes of U16 codes."""
        passes, sums = self._unfinished(a)
        passes.requantise_byte_pairs(sums, rows, columns, multiplier, y, out)

    def from_fixed_point(
        self,
        a: Array,
        grid: Array,
        shares: Array,
        scale: Array,
        bias: Array,
        y: Array,
        top: int,
        left: int,
        to_bf16: bool,
    ) -> None:
        """Numbers [M / 3, N] of the product of whole numbers, whose bytes ``a`` holds."""
        passes, sums = self._unfinished(a)
        passes.from_fixed_point(sums, grid, shares, scale, bias, y, top, left, to_bf16)


class Backend(Protocol):
    """Exact sums of products of integer codes."""

    name: str

    def pack(self, codes: Array) -> Packed:
        """Prepare int8 codes [N, K] for ``a @ codes.T``. Raises ValueError when K is beyond
        ``MAX_INNER_U8``."""

    def pack_bytes(self, codes: Array) -> Packed:
        """Prepare U16 codes [K, N] for products with their bytes: 2 N columns, the high bytes' on
        the left of the low ones'. Raises ValueError when K is beyond ``MAX_INNER_BYTES``."""

    def product_codes(self, b: Array, zeros: tuple[int, int, int], multiplier: float) -> Product:
        """Products of U8 codes [M, K] and ``b`` [K, N], requantised to U8; ``zeros``: the zero
        points of the left codes, of ``b`` and of the result. Raises ValueError when K is beyond
        ``MAX_INNER_BYTES``."""


class NumpyBackend:
    """Float32 BLAS on slices of K so short that every partial sum is an exact float32 integer."""

    name = "numpy"

    def pack(self, codes: Array) -> Packed:
        """Keeps the codes; float32 copies of slices are made for each product."""
        check_inner(codes.shape[1])
        return _NumpyPacked(codes.T, 2**24 // (255 * 128))

    def pack_bytes(self, codes: Array) -> Packed:
        """See :class:`Backend`."""
        check_inner(len(codes), MAX_INNER_BYTES)
        return _NumpyPacked(bytes_of(codes), 2**24 // (255 * 255))

    def product_codes(self, b: Array, zeros: tuple[int, int, int], multiplier: float) -> Product:
        """See :class:`Backend`."""
        check_inner(len(b), MAX_INNER_BYTES)
        correction = -share_of_zero(b, zeros[0], zeros[1])
        factors = np.full(b.shape[1], multiplier, np.float32)
        y = QParams(1.0, zeros[2], "u8")

        def product(a: Array, out: Array) -> None:
            acc = _sliced_product(a, b, 2**24 // (255 * 255))
            acc -= (a.sum(axis=1, dtype=np.int64) * zeros[1]).astype(np.int32)[:, None]
            loops().requantise(acc, correction, factors, y, out)

        return product


class _NumpyPacked(Packed):
    def __init__(self, right: Array, longest: int) -> None:
        self._right, self._longest = right, longest

    def sums(self, a: Array) -> Array:
        return _sliced_product(a, self._right, self._longest)


def check_inner(size: int, largest: int = MAX_INNER_U8) -> None:
    """Raise ValueError when sums over ``size`` products of bytes might leave S32."""
    if size > largest:
        raise ValueError(f"an inner size of {size} overflows S32; {largest} is the largest")


def bytes_of(codes: Array) -> Array:
    """U8 [K, 2 N]: the high bytes of U16 codes [K, N] on the left of the low ones."""
    rows, columns = codes.shape
    right = np.empty((rows, 2 * columns), np.uint8)
    loops().split_bytes(codes, right[:, :columns], right[:, columns:], np.empty(rows))
    return right


def share_of_zero(b: Array, a_zero: int, b_zero: int) -> Array:
    """int64 [N]: what the zero point of the left codes takes from sums with codes ``b`` [K, N]."""
    share: Array = a_zero * (b.sum(axis=0, dtype=np.int64) - len(b) * b_zero)
    return share


def _sliced_product(a: Array, b: Array, longest: int) -> Array:
    acc = np.zeros((a.shape[0], b.shape[1]), np.int32)
    for start in range(0, a.shape[1], longest):
        part = slice(start, start + longest)
        acc += (a[:, part].astype(np.float32) @ b[part].astype(np.float32)).astype(np.int32)
    return acc


@lru_cache(maxsize=1)
def best_backend() -> Backend:
    """VNNI instructions through numba where both are there, else onnxruntime where it is installed
    and proves exact on this CPU, else numpy."""
    vnni = compiled("axsim.kernels.vnni_numba")
    if vnni is not None and vnni.supported():
        from axsim.kernels.vnni_backend import VnniBackend

        return VnniBackend()
    try:
        from axsim.kernels.onnx_backend import OnnxBackend

        return OnnxBackend()
    except (ImportError, ArithmeticError):
        return NumpyBackend()
