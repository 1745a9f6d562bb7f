"""Shape and cost of elementwise operators."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import Any

from axsim.graph.operator import Shape, Work
from axsim.graph.shapes import broadcast
from axsim.kernels.array import Array


def shape(shapes: Sequence[Shape], attrs: Mapping[str, Any]) -> list[Shape]:
    """The inputs' broadcast shape."""
    return [broadcast(*shapes)]


def one_pass(inputs: Sequence[Shape], outputs: Sequence[Shape], attrs: Mapping[str, Any]) -> Work:
    """One element-operation for each output element."""
    return Work(passes=prod(outputs[0]))


def moved(inputs: Sequence[Shape], outputs: Sequence[Shape], attrs: Mapping[str, Any]) -> Work:
    """Each output element is copied once, nothing is computed."""
    return Work(moves=sum(prod(s) for s in outputs))


def flat(vector: Array, shape: Shape) -> Array:
    """``vector`` broadcast to ``shape`` and laid out as one row."""
    import numpy as np

    return np.broadcast_to(vector, shape).reshape(-1)
