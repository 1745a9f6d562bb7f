"""Ceil: Whole numbers above. Cost: one pass."""

from __future__ import annotations

from axsim.graph.elementwise import function

CEIL = function("Ceil", lambda np, x: np.ceil(x))
