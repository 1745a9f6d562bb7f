"""Sign: -1, 0 or 1. Cost: one pass."""

from __future__ import annotations

from axsim.graph.elementwise import function

SIGN = function("Sign", lambda np, x: np.sign(x))
