"""Where: one number or the other, as a truth value says. Cost: one pass."""

from __future__ import annotations

from axsim.graph.elementwise import broadcasting

WHERE = broadcasting("Where", lambda np, condition, a, b: np.where(condition, a, b))
