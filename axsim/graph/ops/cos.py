"""Cos: The cosine. Cost for each element: one cosine."""

from __future__ import annotations

from axsim.graph.elementwise import function

COS = function("Cos", lambda np, x: np.cos(x), passes=0, transcendentals=1)
