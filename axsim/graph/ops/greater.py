"""Greater: whether numbers are greater than others. Cost: one pass."""

from __future__ import annotations

from axsim.graph.elementwise import broadcasting

GREATER = broadcasting("Greater", lambda np, a, b: a > b)
