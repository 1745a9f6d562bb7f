"""erf, GELU and SiLU for float32 arrays, without scipy.

Each function writes into ``out`` (``x`` itself is allowed) or a new array. They make some twenty
passes: call them on blocks that stay in cache (:func:`axsim.graph.kernels.parallel.in_blocks`).
"""

from __future__ import annotations

import numpy as np

from axsim.graph.array import Array

# erf(x) = x P(x^2) / Q(x^2) on [-3.8, 3.8], lowest power first. A minimax fit (reweighted least
# squares in float64; error 1.0e-8) rounded to float32; beyond 3.8, 1 - |erf| < 7.7e-8.
_LIMIT = np.float32(3.8)
_P = (
    1.1283791065216064,
    0.1881159245967865,
    0.052547309547662735,
    0.0036936041433364153,
    0.00028799957362934947,
    2.132138433807995e-06,
)
_Q = (
    1.0,
    0.500045657157898,
    0.11325480043888092,
    0.01482290867716074,
    0.0011537435930222273,
    3.9097925764508545e-05,
)


def erf(x: Array, out: Array | None = None) -> Array:
    """The error function; maximum absolute error 4e-7."""
    z: Array = np.clip(x, -_LIMIT, _LIMIT, out=out)
    u = z * z
    z *= _polynomial(_P, u)
    z /= _polynomial(_Q, u)
    return z


def gelu_erf(x: Array, out: Array | None = None) -> Array:
    """``x * (1 + erf(x / sqrt(2))) / 2``."""
    y = x * np.float32(0.5**0.5)
    erf(y, out=y)
    y += np.float32(1)
    y *= np.float32(0.5)
    z: Array = np.multiply(y, x, out=out)
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


def _polynomial(coefficients: tuple[float, ...], u: Array) -> Array:
    y: Array = u * np.float32(coefficients[-1])
    for c in coefficients[-2:0:-1]:
        y += np.float32(c)
        y *= u
    y += np.float32(coefficients[0])
    return y
