"""Round: The nearest whole numbers, ties to even. Cost: one pass."""

from __future__ import annotations

from axsim.graph.elementwise import function

ROUND = function("Round", lambda np, x: np.rint(x))
