"""Codes of matrix products: exact sums of products, then one requantisation.

Byte products come from a :class:`~axsim.kernels.integer.Backend`, U16 codes as their high and
low bytes. Products of unlike codes are float64, which holds sums of 2^19 of them exactly.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from axsim.kernels.arithmetic import MAX_INNER_BYTES
from axsim.kernels.array import Array
from axsim.kernels.integer import Backend, Packed, Product, share_of_zero
from axsim.kernels.loops import loops
from axsim.kernels.qparams import QParams
from axsim.kernels.scratch import Scratch


@dataclass(frozen=True, slots=True)
class IntegerMatrix:
    """An S8 weight matrix [N, K] ready for products: packed codes, float32 row scales [N], and the
    int64 sums of each row's codes [N], which carry the share of the activation's zero point."""

    packed: Packed
    scale: Array
    row_sums: Array


def bias_codes(bias: Array | None, scale: Array) -> Array:
    """S32 codes, held as int64 [N], of a float32 bias whose unit is ``scale`` [N]."""
    if bias is None:
        return np.zeros(scale.shape, np.int64)
    steps = np.rint(bias.astype(np.float64) / scale)
    return np.clip(steps, -(2.0**31), 2.0**31 - 1).astype(np.int64)


def by_weights(matrix: IntegerMatrix, bias: Array | None, x: QParams, y: QParams) -> Product:
    """``a @ w.T + bias`` for codes ``a`` with parameters ``x``; ``bias``: float32 [N] or None."""
    scale = np.float32(x.scale) * matrix.scale
    multiplier = scale / np.float32(y.scale)
    correction = bias_codes(bias, scale) - x.zero_point * matrix.row_sums
    scratch = Scratch()

    def product(a: Array, out: Array) -> None:
        if x.dtype == "u8":
            matrix.packed.requantise(a, correction, multiplier, y, out)
        else:
            codes, _ = _byte_rows(a, scratch)
            matrix.packed.requantise_bytes(codes, correction, multiplier, y, out)

    return product


def by_codes(backend: Backend, b: Array, qa: QParams, qb: QParams, y: QParams) -> Product:
    """``a @ b`` for codes of parameters ``qa`` and codes ``b`` [K, N] of parameters ``qb``."""
    inner, columns = b.shape
    factor = np.float32(qa.scale) * np.float32(qb.scale) / np.float32(y.scale)
    fits = inner <= MAX_INNER_BYTES
    if fits and qa.dtype == qb.dtype == y.dtype == "u8":
        zeros = qa.zero_point, qb.zero_point, y.zero_point
        return backend.product_codes(b, zeros, float(factor))
    multiplier = np.full(columns, factor, np.float32)
    if fits and qa.dtype == qb.dtype == "u16":
        return _by_bytes(backend, b, qa.zero_point, qb.zero_point, multiplier, y)
    right = np.subtract(b, float(qb.zero_point), dtype=np.float64)
    nothing = np.zeros(columns)

    def product(a: Array, out: Array) -> None:
        acc = np.subtract(a, float(qa.zero_point), dtype=np.float64) @ right
        loops().requantise(acc, nothing, multiplier, y, out)

    return product


def _by_bytes(
    backend: Backend, b: Array, a_zero: int, b_zero: int, multiplier: Array, y: QParams
) -> Product:
    """U16 codes from one product of bytes, which gives all four pairs of high and low ones."""
    packed = backend.pack_bytes(b)
    correction = -share_of_zero(b, a_zero, b_zero).astype(np.float64)
    scratch = Scratch()

    def product(a: Array, out: Array) -> None:
        codes, sums = _byte_rows(a, scratch)
        sums *= -float(b_zero)
        packed.requantise_byte_pairs(codes, sums, correction, multiplier, y, out)

    return product


def _byte_rows(codes: Array, scratch: Scratch) -> tuple[Array, Array]:
    """U16 codes [M, K] as bytes [2 M, K], the rows of high ones above those of low ones, and the
    float64 sums of the codes of each row."""
    rows = codes.shape[0]
    planes = scratch.array("bytes", (2 * rows, codes.shape[1]), np.uint8)
    sums = scratch.array("row sums", (rows,), np.float64)
    loops().split_bytes(codes, planes[:rows], planes[rows:], sums)
    return planes, sums
