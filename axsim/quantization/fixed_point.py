"""Exact products of floating-point activations and S8 weights, by integer kernels.

A row of activations is put on a grid that has 24 bits up to the row's largest number; bf16 numbers
down to 2^-15 of that are on it as they are. The three bytes of the whole numbers are multiplied
with the weight codes exactly, so that the result depends on no order of summation. Integer kernels
do three byte products in the time of one float32 product.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from axsim.graph.array import Array
from axsim.graph.kernels.blas import one_blas_thread
from axsim.graph.kernels.parallel import parallel, threads
from axsim.quantization.integer import Backend, Packed
from axsim.quantization.loops import loops
from axsim.quantization.matrix import Matrix

_FEW_ROWS = 16
"""Products of fewer rows read every weight for little arithmetic: cores share the matrix."""
_ROWS = 160
"""Rows of a block otherwise: their sums over a few thousand columns stay near the cores."""


@dataclass(frozen=True, slots=True)
class PackedMatrix:
    """An S8 matrix [out, in] packed for products in ``pieces``, one for each of ``columns``.

    ``scale``: float32 [out]; ``shares``: 2^23 times each row's sum of codes, float64 [out].
    """

    pieces: tuple[Packed, ...]
    columns: tuple[slice, ...]
    scale: Array
    shares: Array
    shape: tuple[int, int]

    @property
    def nbytes(self) -> int:
        """Bytes of the codes and the vectors."""
        return self.shape[0] * self.shape[1] + int(self.scale.nbytes + self.shares.nbytes)


def packed(matrix: Matrix, backend: Backend) -> PackedMatrix:
    """An S8 ``matrix`` for :func:`product`, with a piece for every core; it keeps no codes."""
    assert matrix.scale is not None
    out, _ = matrix.shape
    step = -(-out // threads())
    columns = tuple(slice(i, min(i + step, out)) for i in range(0, out, step))
    pieces = tuple(backend.pack(matrix.codes[part]) for part in columns)
    shares = 2.0**23 * matrix.codes.sum(axis=1, dtype=np.int64)
    return PackedMatrix(pieces, columns, matrix.scale, shares, matrix.shape)


def product(x: Array, w: PackedMatrix, bias: Array | None) -> Array:
    """``x @ w.T + bias`` as float32 [T, out] for float32 ``x`` [T, in].

    ``float32(exact sum) * grid * scale + bias``, each operation in float32. A row with an infinity
    or a NaN becomes NaN.
    """
    rows = len(x)
    x = np.ascontiguousarray(x)
    y = np.empty((rows, w.shape[0]), np.float32)
    if bias is None:
        bias = np.zeros(w.shape[0], np.float32)

    def on_grid(part: Array) -> tuple[Array, Array]:
        codes = np.empty((3 * len(part), part.shape[1]), np.uint8)
        grid = np.empty(len(part), np.float32)
        loops().to_fixed_point(part, codes, grid)
        return codes, grid

    def piece(i: int, codes: Array, grid: Array, top: int) -> None:
        loops().from_fixed_point(
            w.pieces[i].sums(codes), grid, w.shares, w.scale, bias, y, top, w.columns[i].start
        )

    with one_blas_thread():  # for the products of the plain backend
        if rows < _FEW_ROWS:
            whole = on_grid(x)
            parallel(len(w.pieces), lambda i: piece(i, *whole, 0))
            return y
        step = -(-rows // (-(-rows // (_ROWS * threads())) * threads()))

        def task(block: int) -> None:
            top = block * step
            codes, grid = on_grid(x[top : top + step])
            for i in range(len(w.pieces)):
                piece(i, codes, grid, top)

        parallel(-(-rows // step), task)
    return y
