"""LogSoftmax: the logarithm of a softmax along one axis.

Cost for each element: maximum, subtract, sum, subtract = 4 passes and one exp; for each row one
log.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import Any

from axsim.graph.elementwise import shape
from axsim.graph.operator import Operator, Shape, Work
from axsim.kernels.array import Array


def _work(inputs: Sequence[Shape], outputs: Sequence[Shape], attrs: Mapping[str, Any]) -> Work:
    elements = prod(inputs[0])
    rows = elements // max(inputs[0][attrs.get("axis", -1)], 1)
    return Work(passes=4 * elements, transcendentals=elements + rows)


def _kernel(x: Array, *, axis: int = -1) -> tuple[Array]:
    import numpy as np

    y = x - x.max(axis=axis, keepdims=True)
    y -= np.log(np.exp(y).sum(axis=axis, keepdims=True))
    return (y,)


LOG_SOFTMAX = Operator("LogSoftmax", shape, _work, _kernel, role="vector", shows="softmax")
