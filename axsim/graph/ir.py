"""The intermediate representation: tensors, nodes and graphs.

A ``Graph`` is one deployed subgraph (vision tower, one decoder-layer group, post). Operators are
named and defined as in the ONNX specification; their shape rule, cost and numeric kernel live in
:mod:`axsim.graph.ops`. Storage types are plain strings so that timing never imports a numeric
library: see :data:`DTYPE_BITS`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import prod
from typing import Any, Literal

FLOATS = frozenset({"f32", "f16", "bf16"})
"""Dtypes of real numbers that are no codes."""
DTYPE_BITS: dict[str, int] = {
    "f32": 32, "u32": 32, "s32": 32, "s64": 64,
    "bf16": 16, "f16": 16, "u16": 16, "s16": 16,
    "u8": 8, "s8": 8,
    "s4": 4,
    "bool": 8,
}  # fmt: skip
"""Storage width of every dtype, in bits."""

TensorKind = Literal["input", "output", "activation", "weight", "constant"]


@dataclass(frozen=True, slots=True)
class Tensor:
    """A named value in a graph.

    ``kind`` is ``"weight"`` for a value that comes from the checkpoint and ``"constant"`` for one
    that the graph builder computes (RoPE tables, shapes): both stand in ``Graph.values`` or in the
    mapping of weights given to the executor. ``dtype`` is the *storage* dtype on the NPU.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str = "f32"
    kind: TensorKind = "activation"

    @property
    def elements(self) -> int:
        """How many elements the tensor has."""
        return prod(self.shape)

    @property
    def bytes(self) -> int:
        """Dense size in bytes in the storage dtype (scales and padding not included)."""
        return (self.elements * DTYPE_BITS[self.dtype] + 7) // 8


@dataclass(frozen=True, slots=True)
class Node:
    """One operator application. ``op`` is the ONNX operator name."""

    name: str
    op: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attrs: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Graph:
    """Nodes in execution order with every tensor they touch.

    ``values`` holds, for each ``constant`` tensor, a function that computes its numpy array;
    weights are supplied at execution so that one graph serves all 24 layers.
    """

    name: str
    tensors: Mapping[str, Tensor]
    nodes: tuple[Node, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    values: Mapping[str, Callable[[], Any]] = field(default_factory=dict)

    def shapes(self, names: Sequence[str]) -> list[tuple[int, ...]]:
        """The shapes of the named tensors, in the given order."""
        return [self.tensors[n].shape for n in names]

    def weights(self) -> list[Tensor]:
        """The tensors that come from the checkpoint."""
        return [t for t in self.tensors.values() if t.kind == "weight"]

    def with_dtypes(self, dtypes: Mapping[str, str]) -> Graph:
        """The same graph with the storage dtypes of the named tensors replaced."""
        tensors = {
            n: replace(t, dtype=dtypes[n]) if n in dtypes else t for n, t in self.tensors.items()
        }
        return replace(self, tensors=tensors)
