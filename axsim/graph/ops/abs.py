"""Abs: Magnitudes. Cost: one pass."""

from __future__ import annotations

from axsim.graph.elementwise import function

ABS = function("Abs", lambda np, x: np.abs(x))
