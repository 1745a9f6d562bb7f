"""Less: whether numbers are less than others. Cost: one pass."""

from __future__ import annotations

from axsim.graph.elementwise import broadcasting

LESS = broadcasting("Less", lambda np, a, b: a < b)
