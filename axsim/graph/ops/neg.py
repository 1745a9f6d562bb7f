"""Neg: ``-x``. Cost: one pass."""

from __future__ import annotations

from axsim.graph.elementwise import function

NEG = function("Neg", lambda np, x: -x)
