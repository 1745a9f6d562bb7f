"""ReduceL2: the Euclidean norm along axes.

Cost: two passes for each element, one root for each result.
"""

from __future__ import annotations

from axsim.graph.reduction import reduction

REDUCEL2 = reduction(
    "ReduceL2",
    lambda np, x, axes, keep: np.sqrt((x * x).sum(axis=axes, keepdims=keep)),
    passes=2,
    transcendentals=1,
)
