"""Loops that numba compiles, where it is installed; without it numpy does the work.

numba is an extra, and refuses a numpy that it doesn't know yet.
"""

from __future__ import annotations

from functools import lru_cache
from types import ModuleType

from axsim.quantization import loops_numpy


@lru_cache(maxsize=1)
def loops() -> ModuleType:
    """Passes over codes: :mod:`axsim.quantization.loops_numpy`, or compiled ones.

    Both are exact, hence bit-identical: see :mod:`axsim.quantization.arithmetic`.
    """
    try:
        from axsim.quantization import loops_numba
    except ImportError:
        return loops_numpy
    return loops_numba


@lru_cache(maxsize=1)
def weight_loops() -> ModuleType | None:
    """:mod:`axsim.quantization.weight_loops_numba`, or None without numba."""
    try:
        from axsim.quantization import weight_loops_numba
    except ImportError:
        return None
    return weight_loops_numba
