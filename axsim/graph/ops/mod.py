"""Mod: the remainder with the sign of the divisor, or of the dividend if ``fmod``.

Cost for each element: divide, round, multiply, subtract = 4 passes.
"""

from __future__ import annotations

from typing import Any

from axsim.graph.elementwise import broadcasting
from axsim.kernels.array import Array


def _mod(np: Any, a: Array, b: Array, fmod: int = 0) -> Array:
    remainder: Array = np.fmod(a, b) if fmod else np.mod(a, b)
    return remainder


MOD = broadcasting("Mod", _mod, passes=4)
