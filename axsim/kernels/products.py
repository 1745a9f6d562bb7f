"""Products of integer codes: the contract that backends keep, and numpy's own.

A backend packs a right operand once; the packed operand multiplies and finishes
(:mod:`axsim.kernels.finish`). :class:`NumpyProducts` needs numpy only;
:mod:`axsim.kernels.onnx_products` computes the same sums several times faster through onnxruntime,
and :mod:`axsim.kernels.vectors` faster still on the CPUs it is for;
:func:`axsim.kernels.choose.choose` picks. All are exact, hence bit-identical: see
:mod:`axsim.kernels.arithmetic`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

from axsim.kernels.arithmetic import MAX_INNER_BYTES, MAX_INNER_U8
from axsim.kernels.array import Array
from axsim.kernels.codes import split_bytes
from axsim.kernels.finish import Finish, Sum, finished
from axsim.kernels.scratch import Scratch


class Packed(ABC):
    """A right operand of N columns made ready for products by one backend.

    ``totals``: int64 [N], each column's codes less its zero point, added up: what one unit of the
    left codes' zero point takes from the sums. ``image``: how :meth:`windows` wants U8 codes.
    """

    totals: Array
    image: np.dtype[Any] = np.dtype(np.uint8)

    def into(self, a: Array, finish: Finish, out: Array, left: int = 0) -> None:
        """Write the finished products with rows ``a`` to the N columns of ``out`` from ``left`` on.

        ``a``: U8 or U16 codes [M, K], or the P bytes of M rows of wider whole numbers, U8
        [P M, K], the high bytes' rows above the rest; C-contiguous, as is ``out`` [M, ...].
        """
        self._into(rows_of_bytes(a), finish, out, left)

    def windows(
        self, places: Array, pieces: Array, run: int, finish: Finish, dtype: np.dtype[Any],
        left: int = 0, then: Sum | None = None,
    ) -> Callable[[Array, Array, Array | None], None] | None:  # fmt: skip
        """What does :meth:`into` of rows that lie in an image of codes of ``dtype``, called with
        that and ``out``, both C-contiguous: row i is the ``run`` codes from ``places[i] +
        pieces[p]`` on for each p. Where a sum is to follow, ``then``, it is called with the
        other codes as well, which look like ``out``. None where the backend has to be given the
        rows."""
        return None

    @abstractmethod
    def sums(self, a: Array) -> Array:
        """Exact int32 [P M, Q, N] of rows of bytes, to be used up before the thread's next."""

    def _into(self, a: Array, finish: Finish, out: Array, left: int) -> None:
        finished(finish, self.sums(a), out, left)


class Products(Protocol):
    """A backend."""

    name: str

    def pack(self, codes: Array, zero: int = 0) -> Packed:
        """Prepare int8, U8 or U16 codes [N, K], whose zero point is ``zero`` (0 for int8), for
        ``a @ (codes - zero).T``.

        Raises ValueError when sums over K products might leave S32.
        """


def rows_of_bytes(codes: Array) -> Array:
    """U16 codes [M, K] as U8 [2 M, K], high bytes above low ones, in the thread's scratch; U8 as
    they are."""
    if codes.dtype == np.uint8:
        return codes
    rows = len(codes)
    planes = _scratch.array("bytes", (2 * rows, codes.shape[1]), np.uint8)
    split_bytes(codes, planes[:rows], planes[rows:])
    return planes


_scratch = Scratch()


def bytes_of(codes: Array, zero: int) -> list[tuple[Array, int]]:
    """The one byte or both bytes, the high ones first, of codes [N, K], each with its zero point.

    Raises ValueError as :meth:`Products.pack` does.
    """
    largest = MAX_INNER_U8 if codes.dtype == np.int8 else MAX_INNER_BYTES
    if codes.shape[1] > largest:
        inner = codes.shape[1]
        raise ValueError(f"an inner size of {inner} overflows S32; {largest} is the largest")
    if codes.dtype != np.uint16:
        return [(codes, zero)]
    high, low = np.empty((2, *codes.shape), np.uint8)
    split_bytes(codes, high, low)
    return [(high, zero >> 8), (low, zero & 255)]


def totals_of(codes: Array, zero: int) -> Array:
    """See :class:`Packed`."""
    totals: Array = codes.sum(axis=1, dtype=np.int64) - codes.shape[1] * zero
    return totals


class NumpyProducts:
    """Float32 BLAS on slices of K so short that every partial sum is an exact float32 integer."""

    name = "numpy"

    def pack(self, codes: Array, zero: int = 0) -> Packed:
        """Keeps the codes; float32 copies of slices are made for each product."""
        return _NumpyPacked(bytes_of(codes, zero), totals_of(codes, zero))


class _NumpyPacked(Packed):
    def __init__(self, operands: list[tuple[Array, int]], totals: Array) -> None:
        self._operands, self.totals = operands, totals

    def sums(self, a: Array) -> Array:
        acc = np.zeros((len(a), len(self._operands), self.totals.size), np.int32)
        for i, (codes, zero) in enumerate(self._operands):
            for start in range(0, a.shape[1], _EXACT):
                part = slice(start, start + _EXACT)
                factors = codes[:, part].astype(np.float32) - np.float32(zero)
                acc[:, i] += (a[:, part].astype(np.float32) @ factors.T).astype(np.int32)
        return acc


_EXACT = 2**24 // (255 * 255)
"""Products of bytes whose sum is an exact float32 number in any order."""
