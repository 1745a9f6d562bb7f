"""Matrix products in float32: with weights, and what follows element by element applied while the
result is warm; and of two activations."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from axsim.kernels.array import Array
from axsim.kernels.gates import Gate, gate_block
from axsim.kernels.parallel import BLOCK, parallel

Stage = Callable[[Array, slice, slice], None]
"""Changes a block of the whole product in place, which the slices of rows and columns give."""

_SMALL = 1 << 24
"""With fewer multiply-accumulates than this, threads of our own cost more than they save."""
_FEW_ROWS = 16
"""Products of fewer rows read every weight for little arithmetic; BLAS spreads those itself."""
_COLUMNS = 256
"""Columns of a task, whatever the number of threads: BLAS sums some columns in another order where
others stand beside them, so results would depend on it."""


def linear(x: Array, w: Array, stages: Sequence[Stage] = ()) -> Array:
    """``x @ w.T`` with ``stages`` applied in order: [rows, K] and [width, K] to [rows, width].

    Every task takes some of the columns, with BLAS on its thread only: BLAS's own threads go on
    spinning after a product and would take the cores from the stages.
    """
    rows, width = len(x), len(w)
    if rows < _FEW_ROWS or rows * width * x.shape[1] < _SMALL:
        y: Array = x @ w.T
        apply(stages, y, slice(0, rows), slice(0, width))
        return y
    out = np.empty((rows, width), np.result_type(x, w))

    def task(i: int) -> None:
        columns = slice(i * _COLUMNS, min((i + 1) * _COLUMNS, width))
        np.matmul(x, w[columns].T, out=out[:, columns])
        apply(stages, out, slice(0, rows), columns)

    parallel(-(-width // _COLUMNS), task)
    return out


def added(other: Array) -> Stage:
    """Adds ``other``: [rows, width], or one row or scalar for all."""

    def stage(y: Array, rows: slice, columns: slice) -> None:
        y[rows, columns] += _block(other, rows, columns)

    return stage


def multiplied(other: Array) -> Stage:
    """Multiplies by ``other``: [rows, width], or one row or scalar for all."""

    def stage(y: Array, rows: slice, columns: slice) -> None:
        y[rows, columns] *= _block(other, rows, columns)

    return stage


def activated(gate: Gate) -> Stage:
    """Applies :func:`~axsim.kernels.gates.gated`."""
    return lambda y, rows, columns: gate_block(y, rows, columns, gate)


def clamped(low: float | None, high: float | None) -> Stage:
    """Limits to [low, high]; None leaves that side open."""

    def stage(y: Array, rows: slice, columns: slice) -> None:
        part = y[rows, columns]
        if low is not None:
            np.maximum(part, part.dtype.type(low), out=part)
        if high is not None:
            np.minimum(part, part.dtype.type(high), out=part)

    return stage


def apply(stages: Sequence[Stage], y: Array, rows: slice, columns: slice) -> None:
    """Run ``stages`` on blocks of ``y[rows, columns]`` that stay in the core's cache."""
    if not stages:
        return
    step = max(1, BLOCK // max(columns.stop - columns.start, 1))
    for start in range(rows.start, rows.stop, step):
        block = slice(start, min(start + step, rows.stop))
        for stage in stages:
            stage(y, block, columns)


def _block(other: Array, rows: slice, columns: slice) -> Array:
    """The part of ``other`` that meets a block, whichever of its dimensions broadcast."""
    if other.size == 1:
        return other.reshape(())
    if other.ndim > 1:
        other = other.reshape(other.shape[-2:])[rows if other.shape[-2] > 1 else slice(None)]
    return other[..., columns] if other.shape[-1] > 1 else other


def matmul(a: Array, b: Array) -> Array:
    """``a @ b``; with [heads, group, rows, K] and [heads, 1, K, N] the rows of a group, which share
    one right-hand side, are multiplied together."""
    if a.ndim == b.ndim == 4 and b.shape[1] == 1 and a.shape[0] == b.shape[0]:
        heads, group, rows, inner = a.shape
        left, right = a.reshape(heads, group * rows, inner), b[:, 0]
        if group * rows < _FEW_ROWS and right.strides[-2] < right.strides[-1]:
            # BLAS is twice as fast when the many columns, whose numbers lie together, are its rows.
            turned = right.swapaxes(1, 2) @ left.swapaxes(1, 2)
            product: Array = np.ascontiguousarray(turned.swapaxes(1, 2))
        else:
            product = left @ right
        return product.reshape(heads, group, rows, b.shape[3])
    product = a @ b
    return product
