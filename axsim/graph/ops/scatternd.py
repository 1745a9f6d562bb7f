"""ScatterND: a copy of a tensor in which slices, given by indices, are replaced or reduced.

Cost: every element of the result is moved once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from axsim.graph.elementwise import moved
from axsim.graph.operator import Operator, Shape
from axsim.kernels.array import Array


def _shape(shapes: Sequence[Shape], attrs: Mapping[str, Any]) -> list[Shape]:
    data, indices, updates = shapes
    wanted = indices[:-1] + data[indices[-1] :]
    if updates != wanted:
        raise ValueError(f"ScatterND: updates {updates} for places {wanted}")
    return [data]


def _kernel(
    data: Array, indices: Array, updates: Array, *, reduction: str = "none"
) -> tuple[Array]:
    import numpy as np

    y = data.copy()
    places = tuple(np.moveaxis(indices, -1, 0))
    if reduction == "none":
        y[places] = updates
        return (y,)
    reduce = {"add": np.add, "mul": np.multiply, "max": np.maximum, "min": np.minimum}[reduction]
    reduce.at(y, places, updates)
    return (y,)


SCATTER_ND = Operator("ScatterND", _shape, moved, _kernel, role="vector")
