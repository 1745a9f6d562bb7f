"""What executors run: steps, and the arithmetics that make them of a graph's nodes."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from axsim.graph.ir import Graph, Node, Tensor
from axsim.kernels.array import Array

Weights = Callable[[str], Array]
"""Gives a weight of the graph as float32, by its name in the graph."""


@dataclass(frozen=True, slots=True)
class Step:
    """What really runs: one node, or a chain of nodes whose intermediate results stay inside.

    ``run(*values)`` takes the values of ``inputs`` and returns those of ``outputs``.
    """

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    run: Callable[..., Sequence[Any]]


class Arithmetic(Protocol):
    """How numbers are stored and computed: float32, integer, bfloat16.

    A *value* is whatever the arithmetic stores for a tensor; the executor only hands values around.
    """

    def load(self, tensor: Tensor, weights: Weights) -> Any:
        """The stored value of a weight."""

    def feed(self, tensor: Tensor, array: Array) -> Any:
        """The stored value of a graph input or constant."""

    def fetch(self, tensor: Tensor, value: Any) -> Array:
        """The array that a stored value stands for."""

    def steps(self, graph: Graph, keep: Collection[str]) -> Mapping[str, Step | None]:
        """For each node name its step; None for a node that a later node's step includes.

        Tensors in ``keep`` must be among some step's outputs.
        """


def single(node: Node, kernel: Callable[..., Sequence[Any]]) -> Step:
    """A step of one node; ``kernel(*inputs, **attrs)`` may return more outputs than are used."""
    count = len(node.outputs)
    return Step(node.inputs, node.outputs, lambda *values: kernel(*values, **node.attrs)[:count])
