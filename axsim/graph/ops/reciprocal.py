"""Reciprocal: ``1 / x``. Cost for each element: one reciprocal."""

from __future__ import annotations

from axsim.graph.elementwise import function

RECIPROCAL = function("Reciprocal", lambda np, x: x.dtype.type(1) / x, passes=0, transcendentals=1)
