"""GreaterOrEqual: whether numbers are at least others. Cost: one pass."""

from __future__ import annotations

from axsim.graph.elementwise import broadcasting

GREATER_OR_EQUAL = broadcasting("GreaterOrEqual", lambda np, a, b: a >= b)
