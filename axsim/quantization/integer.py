"""Exact products of integer codes, in plain numpy.

:class:`NumpyBackend` needs numpy only. :mod:`axsim.quantization.onnx_backend` computes the same
sums several times faster through onnxruntime; :func:`best_backend` picks. Both are exact, hence
bit-identical: see :mod:`axsim.quantization.arithmetic`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Protocol

import numpy as np

from axsim.graph.array import Array
from axsim.quantization.arithmetic import MAX_INNER_U8
from axsim.quantization.loops_numpy import requantise
from axsim.quantization.qparams import QParams


class Packed(Protocol):
    """An S8 weight matrix [N, K] made ready for products by one backend."""

    def sums(self, a: Array) -> Array:
        """``a @ codes.T`` for U8 codes ``a`` [M, K]: exact int32 [M, N].

        The array may be overwritten by the caller, and is by the thread's next sums or product.
        """

    def prepared(self, a: Array) -> Callable[[], Array]:
        """:meth:`sums` of ``a``, which the caller fills anew before each call; always the same
        array, for one thread at a time."""


class Backend(Protocol):
    """Exact sums of products of integer codes."""

    name: str

    def pack(self, codes: Array) -> Packed:
        """Prepare int8 codes [N, K]. Raises ValueError when K is beyond ``MAX_INNER_U8``."""

    def product(self, a: Array, b: Array) -> Array:
        """``a @ b`` for U8 codes [M, K] and [K, N]: exact int32 [M, N], as :meth:`Packed.sums`."""

    def product_codes(
        self, a: Array, b: Array, zeros: tuple[int, int, int], multiplier: float, out: Array
    ) -> None:
        """Write U8 codes [M, N] of the product of U8 codes, requantised, to the C-contiguous
        ``out``; ``zeros``: the zero points of a, b and the result."""


class NumpyBackend:
    """Float32 BLAS on slices of K so short that every partial sum is an exact float32 integer."""

    name = "numpy"

    def pack(self, codes: Array) -> Packed:
        """Keeps the codes; float32 copies of slices are made for each product."""
        check_inner(codes.shape[1])
        return _NumpyPacked(codes)

    def product(self, a: Array, b: Array) -> Array:
        """See :class:`Backend`."""
        check_inner(a.shape[1])
        return _sliced_product(a, b, 2**24 // (255 * 255))

    def product_codes(
        self, a: Array, b: Array, zeros: tuple[int, int, int], multiplier: float, out: Array
    ) -> None:
        """See :class:`Backend`."""
        acc = self.product(a, b)
        acc -= (a.sum(axis=1, dtype=np.int64) * zeros[1]).astype(np.int32)[:, None]
        columns = b.sum(axis=0, dtype=np.int64) - b.shape[0] * zeros[1]
        factors = np.full(b.shape[1], multiplier, np.float32)
        requantise(acc, -zeros[0] * columns, factors, QParams(1.0, zeros[2], "u8"), out)


class _NumpyPacked:
    def __init__(self, codes: Array) -> None:
        self._codes = codes

    def sums(self, a: Array) -> Array:
        return _sliced_product(a, self._codes.T, 2**24 // (255 * 128))

    def prepared(self, a: Array) -> Callable[[], Array]:
        return lambda: self.sums(a)


def check_inner(size: int) -> None:
    """Raise ValueError when sums over ``size`` U8 x S8 products might leave S32."""
    if size > MAX_INNER_U8:
        raise ValueError(f"an inner size of {size} overflows S32; {MAX_INNER_U8} is the largest")


def _sliced_product(a: Array, b: Array, longest: int) -> Array:
    acc = np.zeros((a.shape[0], b.shape[1]), np.int32)
    for start in range(0, a.shape[1], longest):
        part = slice(start, start + longest)
        acc += (a[:, part].astype(np.float32) @ b[part].astype(np.float32)).astype(np.int32)
    return acc


@lru_cache(maxsize=1)
def best_backend() -> Backend:
    """onnxruntime where it is installed and proves exact on this CPU, else numpy."""
    try:
        from axsim.quantization.onnx_backend import OnnxBackend

        return OnnxBackend()
    except (ImportError, ArithmeticError):
        return NumpyBackend()
