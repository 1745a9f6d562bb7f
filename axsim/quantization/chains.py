"""Chains of nodes that the executors compute as one: attention from scores to context."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass

from axsim.graph.ir import Graph, Node


@dataclass(frozen=True, slots=True)
class AttentionChain:
    """``softmax(middle(q @ k)) @ v``; ``middle`` holds elementwise nodes (scale, mask)."""

    first: Node
    middle: tuple[Node, ...]
    normalise: Node
    last: Node

    @property
    def nodes(self) -> tuple[str, ...]:
        """Node names in order."""
        return tuple(n.name for n in (self.first, *self.middle, self.normalise, self.last))

    @property
    def inputs(self) -> tuple[str, str, str]:
        """Names of q, k and v."""
        return self.first.inputs[0], self.first.inputs[1], self.last.inputs[1]

    @property
    def scores(self) -> str:
        """Tensor of ``q @ k``."""
        return self.first.outputs[0]

    @property
    def softmax(self) -> str:
        """Tensor of the probabilities."""
        return self.normalise.outputs[0]

    @property
    def tensors(self) -> tuple[str, str, str]:
        """Names of scores, probabilities and context."""
        return self.scores, self.softmax, self.last.outputs[0]


def attention_chains(graph: Graph, keep: Collection[str] = ()) -> list[AttentionChain]:
    """Every attention of ``graph`` none of whose inner tensors is kept or read elsewhere."""
    readers: dict[str, list[Node]] = defaultdict(list)
    for node in graph.nodes:
        for name in node.inputs:
            readers[name].append(node)
    closed = {*keep, *graph.outputs}
    chains = []
    for first in graph.nodes:
        if first.op != "MatMul":
            continue
        path = [first]
        while (name := path[-1].outputs[0]) not in closed and len(readers[name]) == 1:
            reader = readers[name][0]
            if reader.inputs[0] != name or reader.op not in ("Add", "Mul", "Softmax", "MatMul"):
                break
            path.append(reader)
            if reader.op == "MatMul":
                break
        ops = [node.op for node in path]
        if ops[-2:] == ["Softmax", "MatMul"] and ops.count("Softmax") == 1:
            chains.append(AttentionChain(first, tuple(path[1:-2]), path[-2], path[-1]))
    return chains
