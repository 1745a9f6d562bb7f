"""GELU and SiLU for float32 arrays, without scipy: each is ``x / (1 + exp(-x Q(x^2)))``.

In numpy they make up to twenty passes: call them on blocks that stay in cache, or let the product
before them do so (:mod:`axsim.kernels.dense`).
"""

from __future__ import annotations

import numpy as np

from axsim.kernels.array import Array
from axsim.kernels.parallel import in_blocks
from axsim.kernels.twin import twin

Gate = tuple[float, ...]
"""Coefficients of Q, lowest power first."""

# erf(x / sqrt(2)) = tanh(x P(x^2)), of which Q is twice P. A minimax fit of x times half of
# it on [-5.5, 5.5] (reweighted least squares in float64; error 6.6e-8), rounded to float32. Beyond
# 5.5, |x P(x^2)| > 9.1, where tanh is 1 in float32.
GELU: Gate = (
    2 * 0.7978842854499817,
    2 * 0.03633414953947067,
    2 * -3.302668847027235e-05,
    2 * -5.527339089894667e-05,
    2 * 3.9740707507007755e-06,
    2 * -1.3378320318224723e-07,
    2 * 1.8139272306427756e-09,
)
"""``x * (1 + erf(x / sqrt(2))) / 2``; maximum absolute error 1e-6 for |x| up to 12."""

GELU_TANH: Gate = (2 * (2 / np.pi) ** 0.5, 2 * (2 / np.pi) ** 0.5 * 0.044715)
"""GELU's tanh approximation: ``x * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 x^3))) / 2``."""

SWISH: Gate = (1.0,)
"""``x / (1 + exp(-x))``."""


def gated(x: Array, gate: Gate, out: Array | None = None) -> Array:
    """``x / (1 + exp(-x Q(x^2)))`` of an array of any shape, in ``out`` (``x`` itself, or a new
    array)."""
    # exp may overflow to infinity, which gives the right 0; tables have entries for no numbers.
    with np.errstate(over="ignore", invalid="ignore"):
        u = x * x
        y: Array = u * x.dtype.type(-gate[-1]) if len(gate) > 1 else np.zeros_like(x)
        for c in gate[-2:0:-1]:
            y -= x.dtype.type(c)
            y *= u
        y -= x.dtype.type(gate[0])
        y *= x
        np.exp(y, out=y)
        y += x.dtype.type(1)
        z: Array = np.divide(x, y, out=out)
    return z


def _compiles(y: Array, rows: slice, columns: slice, gate: Gate) -> bool:
    return y.dtype == np.float32 and y.flags.c_contiguous


@twin("axsim.kernels.floats_numba", _compiles)
def gate_block(y: Array, rows: slice, columns: slice, gate: Gate) -> None:
    """:func:`gated` in place, for a block of [rows, columns]."""
    block = y[rows, columns]
    gated(block, gate, out=block)


def activation(x: Array, gate: Gate) -> Array:
    """:func:`gated` on all cores, in a new array."""
    y = np.array(x, order="C")

    def block(part: Array) -> None:
        gate_block(part[None], slice(0, 1), slice(0, part.size), gate)

    return in_blocks(block, y)
