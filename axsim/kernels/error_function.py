"""The Gauss error function, without scipy."""

from __future__ import annotations

import numpy as np

from axsim.kernels.array import Array

# Abramowitz and Stegun 7.1.5: erf(x) = 2 / sqrt(pi) * sum (-1)^n x^(2n+1) / (n! (2n+1)), whose
# terms cancel to 1e-13 in float64 for |x| <= 2; beyond, the continued fraction 7.1.14 of erfc.
_SPLIT = 2.0
_TERMS = 36
_DEPTH = 40


def erf(x: Array) -> Array:
    """erf of each number, in float64 rounded to the type of ``x``; absolute error below 1e-12."""
    wide = np.abs(x.astype(np.float64))
    small = np.minimum(wide, _SPLIT)
    square, term = small * small, small.copy()
    series = small.copy()
    for n in range(1, _TERMS):
        term *= square
        term *= -1.0 / n
        series += term * (1.0 / (2 * n + 1))
    large = np.clip(wide, _SPLIT, 6.0)  # 1 - erf(6) is 2e-17
    fraction = large.copy()
    for n in range(_DEPTH, 0, -1):
        fraction = large + n / 2 / fraction
    tail = 1 - np.exp(-large * large) / (fraction * np.sqrt(np.pi))
    result = np.where(wide < _SPLIT, series * (2 / np.sqrt(np.pi)), tail)
    signed: Array = np.copysign(result, x).astype(x.dtype)
    return signed
