"""Passes over codes and bf16 numbers: compiled where numba is installed, else by numpy."""

from __future__ import annotations

from types import ModuleType

from axsim.graph.kernels.compiled import compiled
from axsim.quantization import loops_numpy


def loops() -> ModuleType:
    """Passes over codes: :mod:`axsim.quantization.loops_numpy`, or compiled ones.

    Both are exact, hence bit-identical: see :mod:`axsim.quantization.arithmetic`.
    """
    return compiled("axsim.quantization.loops_numba") or loops_numpy


def weight_loops() -> ModuleType | None:
    """:mod:`axsim.quantization.weight_loops_numba`, or None without numba."""
    return compiled("axsim.quantization.weight_loops_numba")
