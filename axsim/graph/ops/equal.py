"""Equal: whether numbers are equal. Cost: one pass."""

from __future__ import annotations

from axsim.graph.elementwise import broadcasting

EQUAL = broadcasting("Equal", lambda np, a, b: np.equal(a, b))
