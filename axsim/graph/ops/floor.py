"""Floor: Whole numbers below. Cost: one pass."""

from __future__ import annotations

from axsim.graph.elementwise import function

FLOOR = function("Floor", lambda np, x: np.floor(x))
