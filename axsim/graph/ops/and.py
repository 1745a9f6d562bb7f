"""And: both of two truth values. Cost: one pass."""

from __future__ import annotations

from axsim.graph.elementwise import broadcasting

AND = broadcasting("And", lambda np, a, b: a & b)
