"""LessOrEqual: whether numbers are at most others. Cost: one pass."""

from __future__ import annotations

from axsim.graph.elementwise import broadcasting

LESS_OR_EQUAL = broadcasting("LessOrEqual", lambda np, a, b: a <= b)
