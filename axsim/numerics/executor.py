"""Execute a graph numerically, node by node, in whatever order data dependencies allow."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from typing import Any

from axsim.errors import InputError
from axsim.graph.ir import Graph
from axsim.graph.ops import OPERATORS
from axsim.kernels.array import Array
from axsim.numerics.float32 import Float32
from axsim.numerics.steps import Arithmetic, Weights


class BeyondTensorError(InputError, IndexError):
    """The inputs of a graph lead to an index that is not among the elements it is for."""


class Executor:
    """Runs one graph, any number of times.

    ``weights`` gives the graph's weights by name when a node needs them; the executor keeps none
    of them. ``keep`` names tensors to hold for :meth:`fetch` beside the graph's outputs; every
    other value is dropped after its last use.

    >>> executor = Executor(graph, weights)
    >>> executor.run_all({"input": image})["output"]
    """

    def __init__(
        self,
        graph: Graph,
        weights: Weights,
        arithmetic: Arithmetic | None = None,
        *,
        keep: Collection[str] = (),
    ) -> None:
        self.graph = graph
        self._weights = weights
        self._arithmetic = arithmetic = arithmetic or Float32()
        self._kept = {*graph.outputs, *keep}
        unknown = self._kept - graph.tensors.keys()
        if unknown:
            raise KeyError(f"graph {graph.name} has no tensors {sorted(unknown)}")
        self._steps = arithmetic.steps(graph, self._kept)
        steps = {node: step for node, step in self._steps.items() if step is not None}
        self._read = {node: tuple(dict.fromkeys(step.inputs)) for node, step in steps.items()}
        self._uses = dict(Counter(name for names in self._read.values() for name in names))
        self._constants: dict[str, Any] = {}
        self._values: dict[str, Any] = {}
        self._left: dict[str, int] = {}

    def feed(self, inputs: Mapping[str, Array]) -> None:
        """Begin a run with these graph inputs; what is left of the run before is dropped.

        Raises ValueError for a missing or unknown name or a wrong shape.
        """
        names = set(self.graph.inputs)
        if inputs.keys() != names:
            raise ValueError(
                f"graph {self.graph.name} takes {sorted(names)}, was given {sorted(inputs)}"
            )
        self._left = self._uses.copy()
        self._values = {}
        for name, array in inputs.items():
            tensor = self.graph.tensors[name]
            if array.shape != tensor.shape:
                raise ValueError(
                    f"graph {self.graph.name}: {name} has shape {array.shape}, not {tensor.shape}"
                )
            self._values[name] = self._arithmetic.feed(tensor, array)

    def execute(self, node: str) -> None:
        """Run one node; its producers must have run. A node inside a chain runs with the chain.

        Raises BeyondTensorError for an index that is not among the elements it is for.
        """
        step = self._steps[node]
        if step is None:
            return
        values, left = self._values, self._left
        taken = [values[name] if name in values else self._value(name) for name in step.inputs]
        try:
            made = step.run(*taken)
        except IndexError as error:
            if not self._is_indexed(node):
                raise
            what = f"{node} reads beyond a tensor with these inputs: {error}"
            raise BeyondTensorError(f"{self.graph.name}: {what}") from error
        for name, value in zip(step.outputs, made, strict=True):
            if name in self._kept or name in left:
                values[name] = value
        for name in self._read[node]:
            left[name] -= 1
            if not left[name] and name not in self._kept:
                values.pop(name, None)

    def fetch(self, name: str) -> Array:
        """The value of a graph output or kept tensor; KeyError before its node has run."""
        return self._arithmetic.fetch(self.graph.tensors[name], self._values[name])

    def run_all(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Feed, run every node, and fetch the graph's outputs."""
        self.feed(inputs)
        for node in self.graph.nodes:
            self.execute(node.name)
        return {name: self.fetch(name) for name in self.graph.outputs}

    def _is_indexed(self, name: str) -> bool:
        """Whether a node takes elements by indices that may be anybody's."""
        op = next(node.op for node in self.graph.nodes if node.name == name)
        return OPERATORS[op].role == "gather" or op == "ScatterND"

    def _value(self, name: str) -> Any:
        """A weight or a constant, which the executor itself asks for."""
        tensor = self.graph.tensors[name]
        if tensor.kind == "weight":
            return self._arithmetic.load(tensor, self._weights)
        if tensor.kind == "constant":
            if name not in self._constants:
                array = self.graph.values[name]()
                self._constants[name] = self._arithmetic.feed(tensor, array)
            return self._constants[name]
        raise RuntimeError(f"graph {self.graph.name}: {name} is used before it is made")
