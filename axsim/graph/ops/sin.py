"""Sin: The sine. Cost for each element: one sine."""

from __future__ import annotations

from axsim.graph.elementwise import function

SIN = function("Sin", lambda np, x: np.sin(x), passes=0, transcendentals=1)
