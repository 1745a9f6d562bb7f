"""Exact integer products and their requantisation, in plain numpy.

:class:`NumpyBackend` needs numpy only. :mod:`axsim.quantization.onnx_backend` computes the same
sums several times faster through onnxruntime; :func:`best_backend` picks. Both are exact, hence
bit-identical: see :mod:`axsim.quantization.arithmetic`.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Protocol

import numpy as np

from axsim.graph.array import Array
from axsim.quantization.arithmetic import MAX_INNER_U8
from axsim.quantization.qparams import CODE_RANGE, NUMPY_DTYPE


class Packed(Protocol):
    """An S8 weight matrix [N, K] made ready for products by one backend."""

    def sums(self, a: Array) -> Array:
        """``a @ codes.T`` for U8 codes ``a`` [M, K]: exact int32 [M, N], a new array."""


class Backend(Protocol):
    """Exact sums of products of integer codes."""

    name: str

    def pack(self, codes: Array) -> Packed:
        """Prepare int8 codes [N, K]. Raises ValueError when K is beyond ``MAX_INNER_U8``."""

    def product(self, a: Array, b: Array) -> Array:
        """``a @ b`` for U8 codes [M, K] and [K, N]: exact int32 [M, N], a new array."""

    def product_codes(
        self, a: Array, b: Array, zeros: tuple[int, int, int], multiplier: float
    ) -> Array:
        """U8 codes [M, N] of the product of U8 codes, requantised; ``zeros``: those of a, b, y."""


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
        self, a: Array, b: Array, zeros: tuple[int, int, int], multiplier: float
    ) -> Array:
        """See :class:`Backend`."""
        acc = centred(self.product(a, b), a, b, zeros[0], zeros[1])
        return requantise(acc, np.float32(multiplier), zeros[2], "u8")


class _NumpyPacked:
    def __init__(self, codes: Array) -> None:
        self._codes = codes

    def sums(self, a: Array) -> Array:
        return _sliced_product(a, self._codes.T, 2**24 // (255 * 128))


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


def centred(acc: Array, a: Array, b: Array, a_zero: int, b_zero: int) -> Array:
    """``sum((a - a_zero) * (b - b_zero))`` from ``acc = sum(a * b)``, in place (int32 or int64)."""
    kind = acc.dtype
    if b_zero:
        acc -= (a.sum(axis=1, dtype=np.int64) * b_zero).astype(kind)[:, None]
    if a_zero:
        columns = b.sum(axis=0, dtype=np.int64) - b.shape[0] * b_zero
        acc -= (columns * a_zero).astype(kind)
    return acc


def requantise(acc: Array, multiplier: Array | np.float32, y_zero: int, dtype: str) -> Array:
    """``saturate(round(float32(acc) * multiplier) + y_zero)`` as codes of ``dtype``.

    ``acc``: exact integers in int32, int64 or float64 [M, N]; ``multiplier`` float32 [N] or scalar.
    """
    y = acc.astype(np.float32)
    y *= multiplier
    return rounded_codes(y, y_zero, dtype)


def rounded_codes(steps: Array, zero: int, dtype: str) -> Array:
    """``saturate(round(steps) + zero)`` as codes of an unsigned ``dtype``; overwrites ``steps``.

    Once saturated, adding 1.5 * 2^23 rounds half to even and leaves the integer in the low bits.
    """
    low, high = CODE_RANGE[dtype]
    np.clip(steps, np.float32(low - zero), np.float32(high - zero), out=steps)
    steps += np.float32(12582912)
    integers = steps.view(np.uint32)
    if zero:
        integers += np.uint32(zero)
    codes: Array = integers.astype(NUMPY_DTYPE[dtype])  # keeps the low bits
    return codes


def gemm_sums(packed: Packed, a: Array, correction: Array) -> Array:
    """``a @ codes.T + correction`` exactly: int32 for U8 ``a`` [M, K], float64 for U16.

    ``correction``: int64 [N], the bias minus the share of the zero point.
    """
    if a.dtype == np.uint8:
        acc = packed.sums(a)
        acc += correction.astype(np.int32)
        return acc
    rows = a.shape[0]
    planes = np.empty((2 * rows, a.shape[1]), np.uint8)
    planes[:rows], planes[rows:] = split16(a)
    parts = packed.sums(planes)
    wide = np.multiply(parts[:rows], 256.0, dtype=np.float64)
    wide += parts[rows:]
    wide += correction
    return wide


def split16(codes: Array) -> tuple[Array, Array]:
    """High and low bytes of uint16 codes."""
    return (codes >> 8).astype(np.uint8), codes.astype(np.uint8)


def product_codes(
    backend: Backend,
    a: Array,
    b: Array,
    zeros: tuple[int, int, int],
    multiplier: float,
    dtype: str,
) -> Array:
    """Codes [M, N] of the product of two activations [M, K] and [K, N], requantised to ``dtype``.

    Operands are U8 or U16 codes; ``zeros`` are the zero points of a, b and the result.
    """
    if a.dtype == b.dtype == np.uint8:
        if dtype == "u8":
            return backend.product_codes(a, b, zeros, multiplier)
        acc = centred(backend.product(a, b), a, b, zeros[0], zeros[1])
        return requantise(acc, np.float32(multiplier), zeros[2], dtype)
    if a.dtype == b.dtype == np.uint16 and 2 * b.shape[1] <= a.shape[1] <= MAX_INNER_U8 // 2:
        wide = _product16(backend, a, b, zeros[0], zeros[1])
        return requantise(wide, np.float32(multiplier), zeros[2], dtype)
    # Products of 17-bit signed numbers: float64 holds sums of 2^19 of them exactly.
    left = np.subtract(a, float(zeros[0]), dtype=np.float64)
    right = np.subtract(b, float(zeros[1]), dtype=np.float64)
    return requantise(left @ right, np.float32(multiplier), zeros[2], dtype)


def _product16(backend: Backend, a: Array, b: Array, a_zero: int, b_zero: int) -> Array:
    """``(a - a_zero) @ (b - b_zero)`` of U16 codes, exact in float64, from products of bytes.

    Cheaper than a float64 product where the result is narrow, as context in attention is: one
    integer product gives all four pairs of bytes.
    """
    rows, (inner, columns) = a.shape[0], b.shape
    left = np.empty((2 * rows, inner), np.uint8)
    left[:rows], left[rows:] = split16(a)
    right = np.concatenate(split16(b), axis=1)
    parts = backend.product(left, right).astype(np.float64)
    parts = 256 * parts[:rows] + parts[rows:]  # a with the bytes of b
    wide: Array = 256 * parts[:, :columns]
    wide += parts[:, columns:]
    if b_zero:
        # An inner size up to MAX_INNER_U8 / 2 keeps sums of U16 codes within 32 bits.
        sums = a.sum(axis=1, dtype=np.uint32).astype(np.float64)
        wide -= b_zero * sums[:, None]
    if a_zero:
        columns_sum = b.sum(axis=0, dtype=np.int64) - inner * b_zero
        wide -= columns_sum.astype(np.float64) * a_zero
    return wide


@lru_cache(maxsize=1)
def best_backend() -> Backend:
    """onnxruntime where it is installed and proves exact on this CPU, else numpy."""
    try:
        from axsim.quantization.onnx_backend import OnnxBackend

        return OnnxBackend()
    except (ImportError, ArithmeticError):
        return NumpyBackend()
