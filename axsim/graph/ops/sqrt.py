"""Sqrt: Square roots. Cost for each element: one root."""

from __future__ import annotations

from axsim.graph.elementwise import function

SQRT = function("Sqrt", lambda np, x: np.sqrt(x), passes=0, transcendentals=1)
