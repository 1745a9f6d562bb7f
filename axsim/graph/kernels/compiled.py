"""Loops that numba compiles, where it is installed; without it numpy does the work."""

from __future__ import annotations

from functools import lru_cache
from types import ModuleType


@lru_cache(maxsize=1)
def compiled() -> ModuleType | None:
    """:mod:`axsim.graph.kernels.loops_numba`, or None without numba, which is an extra and refuses
    a numpy that it doesn't know yet."""
    try:
        from axsim.graph.kernels import loops_numba
    except ImportError:
        return None
    return loops_numba
