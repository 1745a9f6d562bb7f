"""GraphBuilder: writes a graph node by node and infers shapes on the way."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from axsim.graph.ir import Graph, Node, Tensor
from axsim.graph.ops import OPERATORS
from axsim.kernels.array import Array

Shape = tuple[int, ...]


class GraphBuilder:
    """Collects tensors and nodes; every method returns the name of the tensor it made.

    >>> b = GraphBuilder("linear")
    >>> x = b.input("x", (4, 8))
    >>> y = b.node("Gemm", [x, b.weight("w", (3, 8))], name="project", transB=1)
    >>> b.build([y]).tensors[y].shape
    (4, 3)
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._tensors: dict[str, Tensor] = {}
        self._nodes: list[Node] = []
        self._inputs: list[str] = []
        self._values: dict[str, Callable[[], Array]] = {}
        self._node_names: set[str] = set()

    def input(self, name: str, shape: Shape, dtype: str = "f32") -> str:
        """A graph input."""
        self._inputs.append(name)
        return self._add(Tensor(name, shape, dtype, "input"))

    def weight(self, name: str, shape: Shape) -> str:
        """A tensor of the checkpoint."""
        return self._add(Tensor(name, shape, "f32", "weight"))

    def constant(self, name: str, shape: Shape, make: Callable[[], Array]) -> str:
        """A float32 value that the graph brings along; ``make()`` computes it when it is needed."""
        self._values[name] = make
        return self._add(Tensor(name, shape, "f32", "constant"))

    def literal(self, name: str, value: float | tuple[float, ...]) -> str:
        """A float32 constant given as a number or a row of numbers."""

        def make() -> Array:
            import numpy as np

            return np.array(value, np.float32)

        return self.constant(name, (len(value),) if isinstance(value, tuple) else (), make)

    def has(self, tensor: str) -> bool:
        """Whether there is a tensor of that name so far."""
        return tensor in self._tensors

    def shape(self, tensor: str) -> Shape:
        """The shape of a tensor made so far."""
        return self._tensors[tensor].shape

    def node(
        self, op: str, inputs: Sequence[str], *, name: str, output: str | None = None, **attrs: Any
    ) -> str:
        """Add a node with one output, named like the node unless ``output`` says otherwise."""
        return self.nodes(op, inputs, name=name, outputs=[output or name], **attrs)[0]

    def nodes(
        self, op: str, inputs: Sequence[str], *, name: str, outputs: Sequence[str], **attrs: Any
    ) -> list[str]:
        """Add a node with the named outputs.

        Raises ValueError, naming the node, when the operator refuses the input shapes.
        """
        if name in self._node_names:
            raise ValueError(f"graph {self._name}: node {name} is there twice")
        try:
            shapes = OPERATORS[op].shape([self._tensors[i].shape for i in inputs], attrs)
        except ValueError as error:
            raise ValueError(f"graph {self._name}, node {name}: {error}") from None
        for tensor, shape in zip(outputs, shapes, strict=False):
            self._add(Tensor(tensor, shape))
        self._node_names.add(name)
        self._nodes.append(Node(name, op, tuple(inputs), tuple(outputs), attrs))
        return list(outputs)

    def build(self, outputs: Sequence[str]) -> Graph:
        """The finished graph; ``outputs`` are tensors made by nodes."""
        for name in outputs:
            t = self._tensors[name]
            self._tensors[name] = Tensor(t.name, t.shape, t.dtype, "output")
        return Graph(
            self._name,
            self._tensors,
            tuple(self._nodes),
            tuple(self._inputs),
            tuple(outputs),
            self._values,
        )

    def _add(self, tensor: Tensor) -> str:
        if tensor.name in self._tensors:
            raise ValueError(f"graph {self._name}: tensor {tensor.name} is there twice")
        self._tensors[tensor.name] = tensor
        return tensor.name
