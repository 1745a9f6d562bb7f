"""PRelu: ``x`` where positive, ``slope * x`` elsewhere. Cost for each element: 2 passes."""

from __future__ import annotations

from axsim.graph.elementwise import broadcasting

PRELU = broadcasting("PRelu", lambda np, x, slope: np.where(x < 0, x * slope, x), passes=2)
