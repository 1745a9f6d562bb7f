"""Exact products of floating-point activations and S8 weights, by integer kernels.

A row of activations is put on a grid that has 24 bits up to the row's largest number; bf16 numbers
down to 2^-15 of that are on it as they are. The three bytes of the whole numbers are multiplied
with the weight codes exactly, so that the result depends on no order of summation. Integer kernels
do three byte products in the time of one float32 product.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock

import numpy as np

from axsim.graph.array import Array
from axsim.graph.kernels.parallel import for_rows, parallel, threads
from axsim.quantization.integer import Backend
from axsim.quantization.loops import loops
from axsim.quantization.matrix import Matrix

_ROWS = 160
"""Rows multiplied at once: more and their sums leave the caches, fewer and weights are read more
often."""
_LARGE = 1 << 24
"""Codes of a matrix that is worth waking other cores for when one row is multiplied."""


class PackedMatrix:
    """An S8 matrix [out, in] packed for :func:`product`; it keeps no codes of its own.

    ``scale``: float32 [out]; ``shares``: 2^23 times each row's sum of codes, float64 [out].
    ``pieces`` make the columns of the product from each of ``starts`` on: one for each core when
    the matrix is large, else one.
    """

    def __init__(self, matrix: Matrix, backend: Backend) -> None:
        assert matrix.scale is not None
        self.shape = out, inner = matrix.shape
        self.scale = matrix.scale
        self.shares = 2.0**23 * matrix.codes.sum(axis=1, dtype=np.int64)
        step = -(-out // threads()) if out * inner > _LARGE else out
        self.starts = range(0, out, step)
        self.pieces = [backend.pack(matrix.codes[start : start + step]) for start in self.starts]
        self.lock = Lock()
        self._row: _Row | None = None

    @property
    def nbytes(self) -> int:
        """Bytes of the codes and the vectors."""
        return self.shape[0] * self.shape[1] + int(self.scale.nbytes + self.shares.nbytes)

    @property
    def row(self) -> _Row:
        """What products with one row use again and again; for the thread that has the lock."""
        if self._row is None:
            codes, grid = _grid(1, self.shape[1])
            self._row = _Row(codes, grid, [piece.prepared(codes) for piece in self.pieces])
        return self._row


@dataclass(frozen=True, slots=True)
class _Row:
    codes: Array
    grid: Array
    sums: list[Callable[[], Array]]


def _grid(rows: int, inner: int) -> tuple[Array, Array]:
    """Memory for bytes [3 rows, inner] of the whole numbers, and the unit [rows] of each row."""
    return np.empty((3 * rows, inner), np.uint8), np.empty(rows, np.float32)


def product(x: Array, w: PackedMatrix, bias: Array | None, *, to_bf16: bool = False) -> Array:
    """``x @ w.T + bias`` as float32 [T, out] for float32 ``x`` [T, in].

    ``float32(exact sum) * grid * scale + bias``, each operation in float32; bf16 numbers if
    ``to_bf16``. A row with an infinity or a NaN becomes NaN.
    """
    x = np.ascontiguousarray(x)
    y = np.empty((len(x), w.shape[0]), np.float32)
    if bias is None:
        bias = np.zeros(w.shape[0], np.float32)
    multiply = _one_row if len(x) == 1 else _rows
    multiply(x, w, bias, y, to_bf16)
    return y


def _one_row(x: Array, w: PackedMatrix, bias: Array, y: Array, to_bf16: bool) -> None:
    passes = loops()
    with w.lock:
        row = w.row
        passes.to_fixed_point(x, row.codes, row.grid)

        def task(i: int) -> None:
            sums = row.sums[i]()
            passes.from_fixed_point(
                sums, row.grid, w.shares, w.scale, bias, y, 0, w.starts[i], to_bf16
            )

        if len(row.sums) > 1:
            parallel(len(row.sums), task)
        else:
            task(0)


def _rows(x: Array, w: PackedMatrix, bias: Array, y: Array, to_bf16: bool) -> None:
    passes = loops()

    def task(rows: slice) -> None:
        codes, grid = _grid(rows.stop - rows.start, x.shape[1])
        passes.to_fixed_point(x[rows], codes, grid)
        for piece, start in zip(w.pieces, w.starts, strict=True):
            sums = piece.sums(codes)
            passes.from_fixed_point(
                sums, grid, w.shares, w.scale, bias, y, rows.start, start, to_bf16
            )

    for_rows(task, len(x), _ROWS)
