"""GatherND: slices of a tensor by the first of its indices. Cost: each element is moved once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import Any

from axsim.graph.elementwise import moved
from axsim.graph.operator import Operator, Shape, always
from axsim.kernels.array import Array


def _shape(shapes: Sequence[Shape], attrs: Mapping[str, Any]) -> list[Shape]:
    data, indices = shapes
    return [indices[:-1] + data[attrs.get("batch_dims", 0) + indices[-1] :]]


def _kernel(data: Array, indices: Array, *, batch_dims: int = 0) -> tuple[Array]:
    import numpy as np

    batch = prod(data.shape[:batch_dims])
    flat = data.reshape(batch, *data.shape[batch_dims:])
    places = indices.reshape(batch, -1, indices.shape[-1])
    parts = [d[tuple(p.T)] for d, p in zip(flat, places, strict=True)]
    shape = _shape([data.shape, indices.shape], {"batch_dims": batch_dims})[0]
    return (np.stack(parts).reshape(shape),)


GATHER_ND = Operator(
    "GatherND", _shape, moved, _kernel, role="gather", shows="elementwise", selects=always
)
