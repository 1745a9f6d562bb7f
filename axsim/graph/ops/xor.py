"""Xor: one of two truth values. Cost: one pass."""

from __future__ import annotations

from axsim.graph.elementwise import broadcasting

XOR = broadcasting("Xor", lambda np, a, b: a ^ b)
