"""Quantised weight matrices: S8 per output row, S4 per group of inputs, bf16.

Codes follow the checkpoint's [out, in] layout. The S8 scale is rowmax / 127, as decoded from the
vendor's compiled layers (public reverse-engineering notes on AX650).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from axsim.kernels.arithmetic import to_bf16_bits
from axsim.kernels.array import Array
from axsim.kernels.bf16 import dots, factors
from axsim.kernels.parallel import parallel
from axsim.kernels.qparams import CODE_RANGE, SMALLEST_SCALE
from axsim.numerics.formats import S4_GROUP


@dataclass(frozen=True, slots=True)
class Matrix:
    """A weight matrix [out, in] as stored.

    ``codes``: int8 codes (S8, S4), uint16 bit patterns (bf16) or float32 values. ``scale``:
    float32 [out] for S8, [out, groups] for S4, None otherwise. ``group``: inputs per S4 scale.
    """

    codes: Array
    scale: Array | None
    dtype: str
    group: int = 0

    @property
    def shape(self) -> tuple[int, int]:
        """(out, in)."""
        return self.codes.shape[0], self.codes.shape[1]

    @property
    def nbytes(self) -> int:
        """Bytes held by this process."""
        return int(self.codes.nbytes + (0 if self.scale is None else self.scale.nbytes))

    def rows(self, start: int, stop: int, out: Array | None = None) -> Array:
        """float32 factors [stop - start, in] of some rows, in ``out`` if given; sums over them are
        to be multiplied by :attr:`row_scale`."""
        codes, scale = self._part(start, stop)
        if out is None:
            out = np.empty(codes.shape, np.float32)
        return factors(codes, scale, self.group, out)

    def dots(self, x: Array, start: int, stop: int, out: Array) -> None:
        """``x @ rows(start, stop).T`` [T, stop - start] for ``x`` [T, in] of few rows."""
        dots(x, *self._part(start, stop), self.group, out)

    def _part(self, start: int, stop: int) -> tuple[Array, Array | None]:
        scale = None if self.scale is None or self.dtype == "s8" else self.scale[start:stop]
        return self.codes[start:stop], scale

    @property
    def row_scale(self) -> Array | None:
        """float32 [out] by which sums over :meth:`rows` are to be multiplied (S8), or None."""
        return self.scale if self.dtype == "s8" else None

    def dequantise(self) -> Array:
        """float32 values [out, in]."""
        y = self.rows(0, self.shape[0])
        if self.row_scale is not None:
            y *= self.row_scale[:, None]
        return y


def quantise_matrix(weight: Array, dtype: str = "s8", group: int = S4_GROUP) -> Matrix:
    """``weight`` [out, in] (float32) stored as ``dtype`` ("s8", "s4", "bf16", "f32").

    Raises ``ValueError`` for any other dtype.
    """
    weight = np.ascontiguousarray(weight, dtype=np.float32)
    if dtype == "f32":
        return Matrix(weight, None, dtype)
    if dtype == "bf16":
        return Matrix(to_bf16_bits(weight), None, dtype)
    if dtype == "s8":
        codes = np.empty(weight.shape, np.int8)
        scale = np.empty(weight.shape[0], np.float32)
        step = max(1, _BLOCK // max(weight.shape[1], 1))

        def task(i: int) -> None:
            rows = slice(i * step, (i + 1) * step)
            scale[rows] = _scale(np.abs(weight[rows]).max(axis=1), 127)
            codes[rows] = _codes(weight[rows], scale[rows, None], dtype)

        parallel(-(-weight.shape[0] // step), task)
        return Matrix(codes, scale, dtype)
    if dtype == "s4":
        rows, inputs = weight.shape
        groups = -(-inputs // group)
        padded = np.zeros((rows, groups * group), np.float32)
        padded[:, :inputs] = weight
        blocks = padded.reshape(rows, groups, group)
        scales = _scale(np.abs(blocks).max(axis=2), 7)
        codes = _codes(blocks, scales[:, :, None], dtype).reshape(rows, -1)[:, :inputs]
        return Matrix(np.ascontiguousarray(codes), scales, dtype, group)
    raise ValueError(f"weights can be stored as s8, s4, bf16 or f32, not {dtype!r}")


_BLOCK = 1 << 18  # elements quantised at once, to bound the temporaries


def _scale(limit: Array, high: int) -> Array:
    scale: Array = np.maximum(limit / np.float32(high), np.float32(SMALLEST_SCALE))
    return scale.astype(np.float32)


def _codes(values: Array, scale: Array, dtype: str) -> Array:
    low, high = CODE_RANGE[dtype]
    y: Array = values / scale
    np.rint(y, out=y)
    np.maximum(y, np.float32(low), out=y)
    np.minimum(y, np.float32(high), out=y)
    return y.astype(np.int8)
