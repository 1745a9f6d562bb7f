"""Nodes that the executors compute as one: attention from scores to context, runs of operators that
treat rows alone, a function and the product with it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Collection
from dataclasses import dataclass

from axsim.graph.ir import Graph, Node
from axsim.graph.ops import OPERATORS


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


def row_chains(
    graph: Graph, keep: Collection[str], joins: Callable[[Node], bool]
) -> list[tuple[str, ...]]:
    """Runs of two or more nodes, by name, for which ``joins`` holds, on matrices of one number of
    rows: each row of a result comes from one row of what the run reads.

    None of their results is kept. All that a chain reads is there once its first node can run.
    """
    before: dict[str, frozenset[str]] = {}  # what each tensor is made of
    closed = {*keep, *graph.outputs}
    chains: list[list[Node]] = []
    held: set[str] = set()
    for node in graph.nodes:
        read = [n for n in node.inputs if graph.tensors[n].kind not in ("weight", "constant")]
        made_of = frozenset(read).union(*(before.get(n, frozenset()) for n in read))
        before |= dict.fromkeys(node.outputs, made_of)
        shapes = [graph.tensors[n].shape for n in (*read, *node.outputs)]
        rows = shapes[0][0] if shapes[0] else 0
        if rows < 2 or any(len(s) != 2 or s[0] != rows for s in shapes):
            continue
        if not closed.isdisjoint(node.outputs) or not joins(node):
            continue
        first = before[chains[-1][0].outputs[0]] if chains else frozenset()
        if not held.isdisjoint(read) and held | first >= {*read}:
            chains[-1].append(node)
        else:
            chains.append([node])
            held = set()
        held.update(node.outputs)
    return [tuple(node.name for node in chain) for chain in chains if len(chain) > 1]


def gated_products(graph: Graph, keep: Collection[str] = ()) -> list[tuple[Node, Node, str]]:
    """Functions of one tensor whose result is only multiplied by another: the function's node, the
    product's and the other operand."""
    makers = {n: node for node in graph.nodes for n in node.outputs}
    readers = Counter(n for node in graph.nodes for n in node.inputs)
    closed = {*keep, *graph.outputs}
    pairs = []
    for node in graph.nodes:
        if node.op != "Mul":
            continue
        for name, other in (node.inputs, node.inputs[::-1]):
            maker = makers.get(name)
            if maker is None or OPERATORS[maker.op].role != "function" or name in closed:
                continue
            if readers[name] == 1:
                pairs.append((maker, node, other))
                break
    return pairs
