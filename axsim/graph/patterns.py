"""Chains of nodes that one kernel can run without writing out what lies between them.

A chain changes where numbers are computed, never the graph: its nodes stay what the compiler and
the machine see. Nothing inside a chain is used elsewhere or kept.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from axsim.graph.ir import Graph, Node


@dataclass(frozen=True, slots=True)
class Attention:
    """``nodes`` compute softmax(q @ k * scale + mask) @ v."""

    nodes: tuple[Node, ...]
    q: str
    k: str
    v: str
    scale: str | None
    mask: str | None


class Chains:
    """Finds the chains of ``graph`` that do not hide a tensor of ``keep``."""

    def __init__(self, graph: Graph, keep: Collection[str]) -> None:
        self._graph = graph
        self._keep = keep
        self._users: dict[str, list[Node]] = {}
        for node in graph.nodes:
            for name in set(node.inputs):
                self._users.setdefault(name, []).append(node)

    def attentions(self) -> list[Attention]:
        """Every product, [scale, mask,] softmax, product."""
        found = (self._attention(n) for n in self._graph.nodes if n.op == "MatMul")
        return [a for a in found if a is not None]

    def products(self, first_ops: Collection[str], ops: Iterable[str]) -> list[tuple[Node, ...]]:
        """Every node of types ``first_ops`` with the elementwise ones of types ``ops`` that follow.

        Only nodes that change no shape belong.
        """
        wanted = frozenset(ops)
        chains = []
        taken: set[str] = set()
        for first in self._graph.nodes:
            if first.op not in first_ops:
                continue
            chain = [first]
            while (then := self._only_user(chain[-1])) is not None:
                fits = then.op in wanted and self._shape(then) == self._shape(first)
                if not fits or then.name in taken:
                    break
                chain.append(then)
                taken.add(then.name)
            chains.append(tuple(chain))
        return chains

    def _attention(self, first: Node) -> Attention | None:
        chain, scale, mask = [first], None, None
        node = self._only_user(first)
        if node is not None and node.op == "Mul" and self._is_scalar(node.inputs[1]):
            chain.append(node)
            scale, node = node.inputs[1], self._only_user(node)
        if node is not None and node.op == "Add" and node.inputs[0] == chain[-1].outputs[0]:
            chain.append(node)
            mask, node = node.inputs[1], self._only_user(node)
        if node is None or node.op != "Softmax" or node.attrs.get("axis", -1) != -1:
            return None
        chain.append(node)
        last = self._only_user(node)
        if last is None or last.op != "MatMul" or last.inputs[0] != node.outputs[0]:
            return None
        q, k = first.inputs
        return Attention((*chain, last), q, k, last.inputs[1], scale, mask)

    def _only_user(self, node: Node) -> Node | None:
        """The one node that uses the one output of ``node``, which nobody else sees."""
        if len(node.outputs) != 1 or node.outputs[0] in self._keep:
            return None
        users = self._users.get(node.outputs[0], [])
        if len(users) != 1 or users[0].inputs.count(node.outputs[0]) != 1:
            return None
        return users[0]

    def _shape(self, node: Node) -> tuple[int, ...]:
        return self._graph.tensors[node.outputs[0]].shape

    def _is_scalar(self, name: str) -> bool:
        return self._graph.tensors[name].elements == 1
