"""Passes over codes and bf16 numbers: compiled where numba is installed, else by numpy."""

from __future__ import annotations

from types import ModuleType

from axsim.kernels import loops_numpy
from axsim.kernels.compiled import compiled


def loops() -> ModuleType:
    """Passes over codes: :mod:`axsim.kernels.loops_numpy`, or compiled ones.

    Both are exact, hence bit-identical: see :mod:`axsim.kernels.arithmetic`.
    """
    return compiled("axsim.kernels.loops_numba") or loops_numpy


def weight_loops() -> ModuleType | None:
    """:mod:`axsim.kernels.weight_loops_numba`, or None without numba."""
    return compiled("axsim.kernels.weight_loops_numba")
