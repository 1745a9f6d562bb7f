"""Changes of a network, collected and made at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from axsim.graph.ir import FLOATS, Graph, Node, Tensor
from axsim.graph.ops import OPERATORS
from axsim.kernels.array import Array
from axsim.network.network import Derived, Network, Stored

Shape = tuple[int, ...]


class Edit:
    """A network in which nodes are replaced by others that compute the same tensors.

    Questions are answered for the network with the changes made so far.
    """

    def __init__(self, network: Network) -> None:
        self._network = network
        self._tensors = dict(network.graph.tensors)
        self._sources = dict(network.sources)
        self._values = dict(network.graph.values)
        self._nodes = {node.name: [node] for node in network.graph.nodes}
        self._slot = {node.name: node.name for node in network.graph.nodes}
        self._makers: dict[str, Node] = {}
        self._readers: dict[str, list[Node]] = {}
        for node in network.graph.nodes:
            self._enter(node)

    def nodes(self, *ops: str) -> list[Node]:
        """The nodes of these operators that make real numbers, in order: of integers a quotient is
        no product, and what is rounded nowhere keeps every digit."""
        return [n for n in self._every() if n.op in ops and self._is_real(n.outputs[0])]

    def maker(self, tensor: str) -> Node | None:
        """The node that makes ``tensor``; None for inputs, weights and constants."""
        return self._makers.get(tensor)

    def inner(self, tensor: str, *ops: str) -> Node | None:
        """The node of one of ``ops`` that makes ``tensor`` for a single reader."""
        node = self._makers.get(tensor)
        if node is None or (ops and node.op not in ops):
            return None
        return node if self.is_inner(tensor) else None

    def is_inner(self, tensor: str) -> bool:
        """Whether one node alone reads ``tensor``, once, and it is no output."""
        readers = self._readers.get(tensor, [])
        once = len(readers) == 1 and readers[0].inputs.count(tensor) == 1
        return once and self._tensors[tensor].kind != "output"

    def reader(self, tensor: str) -> Node | None:
        """The only reader of an inner tensor."""
        return self._readers[tensor][0] if self.is_inner(tensor) else None

    def readers(self, tensor: str) -> list[Node]:
        """The nodes that read ``tensor``."""
        return list({node.name: node for node in self._readers.get(tensor, [])}.values())

    def shape(self, tensor: str) -> Shape:
        """The shape of a tensor."""
        return self._tensors[tensor].shape

    def is_weight(self, tensor: str) -> bool:
        """Whether the values of ``tensor`` do not depend on the input."""
        return self._tensors[tensor].kind in ("weight", "constant")

    def number(self, tensor: str) -> float | None:
        """The value of a constant of one element; None for anything else."""
        if self._tensors[tensor].kind != "constant" or self._tensors[tensor].elements != 1:
            return None
        return float(self._values[tensor]().reshape(()))

    def constant(self, name: str, value: float) -> str:
        """A new float32 constant of no dimensions; returns its name."""
        while name in self._tensors:
            name += "'"
        array = np.array(value, np.float32)
        self._values[name] = lambda: array
        self._tensors[name] = Tensor(name, (), "f32", "constant")
        return name

    def derive(
        self, name: str, shape: Shape, inputs: Sequence[str], compute: Callable[..., Array]
    ) -> str:
        """A new weight computed from weights and constants; returns its name."""
        while name in self._tensors:
            name += "'"
        for source in inputs:
            if source not in self._sources:
                value = self._values[source]
                self._sources[source] = Stored(self.shape(source), value)
        self._sources[name] = Derived(tuple(inputs), compute)
        self._tensors[name] = Tensor(name, shape, "f32", "weight")
        return name

    def add(
        self, at: Node, op: str, inputs: Sequence[str], output: str | None = None, **attrs: Any
    ) -> str:
        """A node in front of ``at``, whose first output it may make; returns the name of what it
        makes. Inputs that are left out are named by None at the end."""
        shape = OPERATORS[op].shape([self.shape(n) for n in inputs], attrs)[0]
        slot = self._slot[at.name]
        name = base = f"{at.name}:{op}"
        count = 1
        while name in self._slot:
            count += 1
            name = f"{base}:{count}"
        if output is None:
            output = name
            self._tensors[output] = Tensor(output, shape)
        node = Node(name, op, tuple(inputs), (output,), attrs)
        place = next((i for i, n in enumerate(self._nodes[slot]) if n.name == at.name), None)
        self._nodes[slot].insert(len(self._nodes[slot]) if place is None else place, node)
        self._slot[name] = slot
        self._enter(node)
        return output

    def remove(self, *nodes: Node) -> None:
        """Take nodes away; what they make is made by others, or read by nobody."""
        for node in nodes:
            slot = self._nodes[self._slot[node.name]]
            slot[:] = [n for n in slot if n.name != node.name]
            for name in node.inputs:
                self._readers[name] = [n for n in self._readers[name] if n.name != node.name]
            for name in node.outputs:
                if self._makers.get(name) is node:
                    del self._makers[name]

    def replace(self, nodes: Sequence[Node], op: str, inputs: Sequence[str], **attrs: Any) -> None:
        """One node in place of ``nodes``, making the first output of the last of them."""
        last = nodes[-1]
        self.remove(*nodes)
        self.add(last, op, inputs, last.outputs[0], **attrs)

    def network(self) -> Network:
        """The network with the changes."""
        graph = self._network.graph
        nodes = self._every()
        used = {n for node in nodes for n in (*node.inputs, *node.outputs)}
        used |= {*graph.inputs, *graph.outputs}
        changed: Graph = replace(
            graph,
            nodes=tuple(nodes),
            tensors={n: t for n, t in self._tensors.items() if n in used},
            values={n: v for n, v in self._values.items() if n in used},
        )
        return Network(changed, self._sources)

    def _every(self) -> list[Node]:
        return [node for nodes in self._nodes.values() for node in nodes]

    def _is_real(self, tensor: str) -> bool:
        return self._tensors[tensor].dtype in FLOATS

    def _enter(self, node: Node) -> None:
        for name in node.outputs:
            self._makers[name] = node
        for name in node.inputs:
            self._readers.setdefault(name, []).append(node)
