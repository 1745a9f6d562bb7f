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


class WhenItPays:
    """A module of compiled loops for work that most processes do little of.

    Loading numba and a loop from disk takes half a second. So a process does ``plain`` units of
    work in plain Python first, which should take about as long: it never pays more than twice what
    the better choice would have cost, and a single run pays nothing.
    """

    def __init__(self, module: str, plain: int) -> None:
        self._module = module
        self._plain = plain

    def module(self) -> ModuleType | None:
        """The module once enough has been done without it; None before, and where there is none."""
        return compiled(self._module) if self._plain <= 0 else None

    def did(self, work: int) -> None:
        """So many units of work were done in plain Python."""
        self._plain -= work
