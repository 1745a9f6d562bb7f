"""Exact products of floating-point activations and S8 weights, by integer kernels.

A row of activations is put on a grid that has 24 bits up to the row's largest number; bf16 numbers
down to 2^-15 of that are on it as they are. The three bytes of the whole numbers are multiplied
with the weight codes exactly, so that the result depends on no order of summation. Integer kernels
do three byte products in the time of one float32 product.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from axsim.kernels.array import Array
from axsim.kernels.codes import to_fixed_point
from axsim.kernels.finish import FromFixedPoint
from axsim.kernels.parallel import for_rows, parallel, threads
from axsim.kernels.products import Packed, Products
from axsim.kernels.scratch import Scratch
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
    shift: Array
    scale: Array
    no_bias: Array

    def into(self, codes: Array, grid: Array, bias: Array | None, y: Array, to_bf16: bool) -> None:
        """Write the product with bytes ``codes`` of rows on ``grid`` to its columns of ``y``."""
        stop = self.start + self.scale.size
        constant = self.no_bias if bias is None else bias[self.start : stop]
        finish = FromFixedPoint(grid, self.shift, self.scale, constant, to_bf16)
        self.packed.into(codes, finish, y, self.start)


class PackedMatrix:
    """An S8 matrix [out, in] packed for :func:`product`; it keeps no codes of its own.

    In one piece, or in one for each core when it is large.
    """

    def __init__(self, matrix: Matrix, products: Products) -> None:
        self.shape = out, inner = matrix.shape
        step = -(-out // threads()) if out * inner > _LARGE else out
        self.pieces = [_piece(matrix, products, i, i + step) for i in range(0, out, step)]

    @property
    def nbytes(self) -> int:
        """Bytes of the codes and the vectors."""
        vectors = [v for p in self.pieces for v in (p.shift, p.scale, p.no_bias)]
        return self.shape[0] * self.shape[1] + sum(int(v.nbytes) for v in vectors)


def _piece(matrix: Matrix, products: Products, start: int, stop: int) -> _Piece:
    codes, scale = matrix.codes[start:stop], matrix.scale
    assert scale is not None
    packed = products.pack(codes)
    # to_fixed_point adds 2^23 to every whole number.
    shift = -(2.0**23) * packed.totals
    return _Piece(packed, start, shift, scale[start:stop], np.zeros(len(codes), np.float32))


def product(x: Array, w: PackedMatrix, bias: Array | None, *, to_bf16: bool = False) -> Array:
    """``x @ w.T + bias`` as float32 [T, out] for float32 ``x`` [T, in].

    ``float32(exact sum) * grid * scale + bias``, each operation in float32; bf16 numbers if
    ``to_bf16``. A row with an infinity or a NaN becomes NaN.
    """
    x = np.ascontiguousarray(x)
    y = np.empty((len(x), w.shape[0]), np.float32)

    def on_grid(rows: Array) -> tuple[Array, Array]:
        codes = _scratch.array("whole", (3 * len(rows), x.shape[1]), np.uint8)
        grid = np.empty(len(rows), np.float32)
        to_fixed_point(rows, codes, grid)
        return codes, grid

    def task(part: slice) -> None:
        codes, grid = on_grid(x[part])
        for piece in w.pieces:
            piece.into(codes, grid, bias, y[part], to_bf16)

    if len(x) > 1:
        for_rows(task, len(x), _ROWS)
    elif len(w.pieces) == 1:
        task(slice(0, 1))
    else:
        codes, grid = on_grid(x)
        parallel(len(w.pieces), lambda i: w.pieces[i].into(codes, grid, bias, y, to_bf16))
    return y


_scratch = Scratch()
