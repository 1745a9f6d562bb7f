"""Exact products of floating-point activations and S8 weights, by integer kernels.

A row of activations is put on a grid that has 24 bits up to the row's largest number; bf16 numbers
down to 2^-15 of that are on it as they are. The three bytes of the whole numbers are multiplied
with the weight codes exactly, so that the result depends on no order of summation. Integer kernels
do three byte products in the time of one float32 product.
"""

from __future__ import annotations

from dataclasses import dataclass
from threading import Lock

import numpy as np

from axsim.kernels.array import Array
from axsim.kernels.integer import Backend, Packed
from axsim.kernels.loops import loops
from axsim.kernels.parallel import for_rows, parallel, threads
from axsim.numerics.matrix import Matrix

_ROWS = 80
"""Rows multiplied at once: more and their bytes leave the caches, fewer and weights are read more
often."""
_LARGE = 1 << 24
"""Codes of a matrix that is worth waking other cores for when one row is multiplied."""


@dataclass(frozen=True, slots=True)
class _Piece:
    """Columns of a product from ``start`` on, and the parts of the matrix's vectors for them."""

    packed: Packed
    start: int
    shares: Array
    scale: Array
    no_bias: Array


class PackedMatrix:
    """An S8 matrix [out, in] packed for :func:`product`; it keeps no codes of its own.

    In one piece, or in one for each core when it is large.
    """

    def __init__(self, matrix: Matrix, backend: Backend) -> None:
        self.shape = out, inner = matrix.shape
        step = -(-out // threads()) if out * inner > _LARGE else out
        self.pieces = [_piece(matrix, backend, i, i + step) for i in range(0, out, step)]
        self.lock = Lock()
        self._row: _Row | None = None

    @property
    def nbytes(self) -> int:
        """Bytes of the codes and the vectors."""
        vectors = [v for p in self.pieces for v in (p.shares, p.scale, p.no_bias)]
        return self.shape[0] * self.shape[1] + sum(int(v.nbytes) for v in vectors)

    @property
    def row(self) -> _Row:
        """What products with one row use again and again; for the thread that has the lock."""
        if self._row is None:
            codes, grid = _grid(1, self.shape[1])
            self._row = _Row(codes, grid, [p.packed.prepared(codes) for p in self.pieces])
        return self._row


def _piece(matrix: Matrix, backend: Backend, start: int, stop: int) -> _Piece:
    codes, scale = matrix.codes[start:stop], matrix.scale
    assert scale is not None
    # A row's share of what to_fixed_point adds to every whole number.
    shares = 2.0**23 * codes.sum(axis=1, dtype=np.int64)
    nothing = np.zeros(len(codes), np.float32)
    return _Piece(backend.pack(codes), start, shares, scale[start:stop], nothing)


@dataclass(frozen=True, slots=True)
class _Row:
    codes: Array
    grid: Array
    packed: list[Packed]


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

    def finish(packed: Packed, codes: Array, grid: Array, piece: _Piece, top: int) -> None:
        vector = piece.no_bias
        if bias is not None:
            vector = bias[piece.start : piece.start + vector.size]
        packed.from_fixed_point(
            codes, grid, piece.shares, piece.scale, vector, y, top, piece.start, to_bf16
        )

    def rows(part: slice) -> None:
        codes, grid = _grid(part.stop - part.start, x.shape[1])
        loops().to_fixed_point(x[part], codes, grid)
        for piece in w.pieces:
            finish(piece.packed, codes, grid, piece, part.start)

    if len(x) > 1:
        for_rows(rows, len(x), _ROWS)
        return y
    with w.lock:
        row = w.row
        loops().to_fixed_point(x, row.codes, row.grid)
        if len(w.pieces) == 1:
            finish(row.packed[0], row.codes, row.grid, w.pieces[0], 0)
        else:
            parallel(
                len(w.pieces),
                lambda i: finish(row.packed[i], row.codes, row.grid, w.pieces[i], 0),
            )
    return y
