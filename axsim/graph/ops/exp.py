"""Exp: ``e^x``. Cost for each element: one exp."""

from __future__ import annotations

from axsim.graph.elementwise import function

EXP = function("Exp", lambda np, x: np.exp(x), passes=0, transcendentals=1)
