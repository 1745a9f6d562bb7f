"""Or: either of two truth values. Cost: one pass."""

from __future__ import annotations

from axsim.graph.elementwise import broadcasting

OR = broadcasting("Or", lambda np, a, b: a | b)
