"""Loops that numba compiles, where it is installed; without it numpy does the work."""

from __future__ import annotations

import os
from functools import lru_cache
from importlib import import_module
from types import ModuleType


@lru_cache(maxsize=8)
def compiled(module: str = "axsim.kernels.float_loops_numba") -> ModuleType | None:
    """A module of compiled loops, or None without numba, which is an extra, refuses a numpy that it
    doesn't know yet, compiles nothing with NUMBA_DISABLE_JIT=1, and has to keep what it compiled in
    a folder that it may write to (NUMBA_CACHE_DIR where neither the package nor HOME is one)."""
    if os.environ.get("NUMBA_DISABLE_JIT", "0") != "0":
        return None
    try:
        return import_module(module)
    except (ImportError, RuntimeError):  # RuntimeError: no such folder
        return None
