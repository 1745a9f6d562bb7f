"""Not: the other truth value. Cost: one pass."""

from __future__ import annotations

from axsim.graph.elementwise import function

NOT = function("Not", lambda np, x: ~x)
