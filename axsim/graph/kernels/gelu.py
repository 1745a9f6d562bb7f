"""GELU and SiLU for float32 arrays, without scipy.

Each function writes into ``out`` (``x`` itself is allowed) or a new array. They make up to twenty
passes: call them on blocks that stay in cache (:func:`axsim.graph.kernels.parallel.in_blocks`).
"""

from __future__ import annotations

import numpy as np

from axsim.graph.array import Array

# erf(x / sqrt(2)) = tanh(x P(x^2)), lowest power first. A minimax fit of x times half of
# it on [-5.5, 5.5] (reweighted least squares in float64; error 6.6e-8), rounded to float32. Beyond
# 5.5, |x P(x^2)| > 9.1, where tanh is 1 in float32.
_P = (
    0.7978842854499817,
    0.03633414953947067,
    -3.302668847027235e-05,
    -5.527339089894667e-05,
    3.9740707507007755e-06,
    -1.3378320318224723e-07,
    1.8139272306427756e-09,
)


def gelu_erf(x: Array, out: Array | None = None) -> Array:
    """``x * (1 + erf(x / sqrt(2))) / 2``; maximum absolute error 1e-6 for |x| up to 12."""
    with np.errstate(over="ignore"):
        u = x * x
        y: Array = u * np.float32(_P[-1])
        for c in _P[-2:0:-1]:
            y += np.float32(c)
            y *= u
        y += np.float32(_P[0])
        y *= x
    np.tanh(y, out=y)
    np.multiply(x, np.float32(0.5), out=u)
    y *= u
    z: Array = np.add(y, u, out=out)
    return z


def gelu_tanh(x: Array, out: Array | None = None) -> Array:
    """GELU's tanh approximation: ``x * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 x^3))) / 2``."""
    y: Array = x * x
    y *= x.dtype.type(0.044715)
    y += x.dtype.type(1)
    y *= x
    y *= x.dtype.type((2 / np.pi) ** 0.5)
    np.tanh(y, out=y)
    y += x.dtype.type(1)
    y *= x.dtype.type(0.5)
    z: Array = np.multiply(y, x, out=out)
    return z


def swish(x: Array, alpha: float = 1.0, out: Array | None = None) -> Array:
    """``x / (1 + exp(-alpha * x))``; exp may overflow to infinity, which gives the right 0."""
    y: Array = x * x.dtype.type(-alpha)
    with np.errstate(over="ignore"):
        np.exp(y, out=y)
    y += x.dtype.type(1)
    z: Array = np.divide(x, y, out=out)
    return z
