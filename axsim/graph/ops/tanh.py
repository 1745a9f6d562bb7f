"""Tanh: The hyperbolic tangent. Cost for each element: one tanh."""

from __future__ import annotations

from axsim.graph.elementwise import function

TANH = function("Tanh", lambda np, x: np.tanh(x), passes=0, transcendentals=1)
