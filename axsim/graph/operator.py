"""What an operator is: a shape rule, a cost and a numeric kernel under its ONNX name."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Shape = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Work:
    """Arithmetic of one node, free of any chip.

    ``macs``: multiply-accumulates (matrix engine work).
    ``passes``: vector element-operations (adds, multiplies, compares, conversions), total count.
    ``transcendentals``: exp, erf, tanh, rsqrt, reciprocal evaluations, total count.
    ``moves``: elements merely rearranged (Transpose, Concat, Slice); 0 where a view suffices.
    """

    macs: int = 0
    passes: int = 0
    transcendentals: int = 0
    moves: int = 0


@dataclass(frozen=True, slots=True)
class Operator:
    """``shape(shapes, attrs) -> output shapes``; ``work(in_shapes, out_shapes, attrs) -> Work``;
    ``kernel(*arrays, **attrs) -> tuple of float32 arrays`` (an absent optional input is None)."""

    name: str
    shape: Callable[[Sequence[Shape], Mapping[str, Any]], list[Shape]]
    work: Callable[[Sequence[Shape], Sequence[Shape], Mapping[str, Any]], Work]
    kernel: Callable[..., tuple[Any, ...]]


OPERATORS: dict[str, Operator] = {}
"""Every operator by its ONNX name; filled by importing :mod:`axsim.graph.ops`."""


def register(operator: Operator) -> Operator:
    """Enter ``operator`` into OPERATORS; ValueError when the name is taken."""
    if operator.name in OPERATORS:
        raise ValueError(f"operator {operator.name} is registered twice")
    OPERATORS[operator.name] = operator
    return operator
