"""Which passes over codes to use: compiled ones where numba is installed, else numpy's.

Both are exact, hence bit-identical: see :mod:`axsim.quantization.arithmetic`.
"""

from __future__ import annotations

from functools import lru_cache
from types import ModuleType

from axsim.quantization import loops_numpy


@lru_cache(maxsize=1)
def loops() -> ModuleType:
    """A module with the functions of :mod:`axsim.quantization.loops_numpy`."""
    try:
        from axsim.quantization import loops_numba
    except ImportError:  # numba is an extra, and refuses a numpy that it doesn't know yet
        return loops_numpy
    return loops_numba
