"""Gelu written out with Erf: ``x * (1 + erf(x / sqrt(2))) / 2``, the factors in any order."""

from __future__ import annotations

from math import sqrt

from axsim.graph.ir import Node
from axsim.network.fusion.edit import Edit


def gelu(edit: Edit) -> None:
    """Every Erf whose surroundings make it a Gelu."""
    for erf in edit.nodes("Erf"):
        scaled = edit.inner(erf.inputs[0], "Mul")
        total = edit.reader(erf.outputs[0])
        if scaled is None or total is None or total.op != "Add":
            continue
        x = _other(edit, scaled, 1 / sqrt(2))
        if x is None or _other(edit, total, 1.0) != erf.outputs[0]:
            continue
        products = _products(edit, total, x)
        if products:
            edit.replace([scaled, erf, total, *products], "Gelu", (x,))


def _products(edit: Edit, total: Node, x: str) -> list[Node]:
    """The products of the sum with ``x`` and a half; empty when they are not these."""
    nodes: list[Node] = []
    end, has_half, has_x = total.outputs[0], False, False
    while not (has_half and has_x):
        node = edit.reader(end)
        if node is None or node.op != "Mul":
            return []
        other = node.inputs[1] if node.inputs[0] == end else node.inputs[0]
        halved = edit.inner(other, "Mul")
        if edit.number(other) == 0.5 and not has_half:
            has_half = True
        elif other == x and not has_x:
            has_x = True
        elif halved is not None and not (has_half or has_x) and _other(edit, halved, 0.5) == x:
            has_half = has_x = True
            nodes.append(halved)
        else:
            return []
        nodes.append(node)
        end = node.outputs[0]
    return nodes


def _other(edit: Edit, node: Node, number: float) -> str | None:
    """The operand of a node of two whose other operand is the constant ``number``."""
    for a, b in (node.inputs, node.inputs[::-1]):
        value = edit.number(b)
        if value is not None and abs(value - number) < 1e-6:
            return a
    return None
