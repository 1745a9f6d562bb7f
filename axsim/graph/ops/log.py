"""Log: The natural logarithm. Cost for each element: one log."""

from __future__ import annotations

from axsim.graph.elementwise import function

LOG = function("Log", lambda np, x: np.log(x), passes=0, transcendentals=1)
