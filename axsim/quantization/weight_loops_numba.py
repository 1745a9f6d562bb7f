"""Loops of the weight-only arithmetic, compiled by numba.

:func:`round_bf16` gives the bits of :func:`axsim.quantization.arithmetic.round_bf16`. Sums of
:func:`dots` run in an order of the compiler's choice, which the arithmetic leaves open.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from axsim.graph.array import Array
from axsim.quantization.matrix import Matrix

_compiled = njit(nogil=True, cache=True, error_model="numpy")
_reordered = njit(
    nogil=True, cache=True, error_model="numpy", fastmath={"reassoc", "contract", "nsz"}
)


def round_bf16(x: Array) -> Array:
    """``x`` (float32) rounded half to even to bf16 values, in place.

    Raises ValueError unless ``x`` is contiguous.
    """
    if not x.flags.c_contiguous:
        raise ValueError("round_bf16 in place needs a contiguous array")
    _round_bf16(x.reshape(-1).view(np.uint32))
    return x


def dots(x: Array, w: Matrix, rows: slice, out: Array) -> None:
    """``x @ w.T`` for some rows of a matrix; ``x`` [T, in] float32, ``out`` [T, rows].

    S8 sums are still to be multiplied by :attr:`~axsim.quantization.matrix.Matrix.row_scale`. Every
    stored code is read once, as it is stored: on few rows of ``x`` that is what takes the time.
    """
    codes = w.codes[rows]
    if w.dtype == "s4":
        assert w.scale is not None
        _dots_by_group(x, codes, w.scale[rows], w.group, out)
    elif w.dtype == "bf16":
        _dots_bf16(x, codes, out)
    else:
        _dots(x, codes, out)


@_compiled
def _round_bf16(bits: Any) -> None:
    for i in range(bits.size):
        odd = (bits[i] >> np.uint32(16)) & np.uint32(1)
        bits[i] = (bits[i] + odd + np.uint32(0x7FFF)) & np.uint32(0xFFFF0000)


@_reordered
def _dots(x: Any, codes: Any, out: Any) -> None:
    for i in range(codes.shape[0]):
        for t in range(x.shape[0]):
            total = np.float32(0)
            for k in range(codes.shape[1]):
                total += x[t, k] * np.float32(codes[i, k])
            out[t, i] = total


@_reordered
def _dots_by_group(x: Any, codes: Any, scale: Any, group: Any, out: Any) -> None:
    inner = codes.shape[1]
    for i in range(codes.shape[0]):
        for t in range(x.shape[0]):
            total = np.float32(0)
            for g in range(scale.shape[1]):
                part = np.float32(0)
                for k in range(g * group, min((g + 1) * group, inner)):
                    part += x[t, k] * np.float32(codes[i, k])
                total += part * scale[i, g]
            out[t, i] = total


@_reordered
def _dots_bf16(x: Any, bits: Any, out: Any) -> None:
    row = np.empty(bits.shape[1], np.uint32)
    values = row.view(np.float32)
    for i in range(bits.shape[0]):
        for k in range(bits.shape[1]):
            row[k] = np.uint32(bits[i, k]) << np.uint32(16)
        for t in range(x.shape[0]):
            total = np.float32(0)
            for k in range(bits.shape[1]):
                total += x[t, k] * values[k]
            out[t, i] = total
