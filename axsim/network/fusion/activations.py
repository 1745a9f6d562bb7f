"""Activations that exporters write as products: Swish, HardSwish, Mish."""

from __future__ import annotations

from axsim.graph.ir import Node
from axsim.network.fusion.edit import Edit


def activations(edit: Edit) -> None:
    """``x * sigmoid(a x)`` is Swish, ``x * hardsigmoid(x)`` HardSwish, ``x * tanh(softplus(x))``
    Mish; a division by a constant is a product."""
    for node in edit.nodes("Div"):
        _reciprocal(edit, node)
    for node in edit.nodes("Mul"):
        for x, gate in (node.inputs, node.inputs[::-1]):
            if _swish(edit, node, x, gate):
                break
    for node in edit.nodes("Mul"):
        for product, sixth in (node.inputs, node.inputs[::-1]):
            if _written_out(edit, node, product, sixth):
                break


def _reciprocal(edit: Edit, node: Node) -> None:
    x, divisor = node.inputs
    if edit.number(divisor) in (None, 0.0):
        return
    factor = edit.constant(f"{divisor}:reciprocal", 1 / (edit.number(divisor) or 1.0))
    edit.replace([node], "Mul", (x, factor))


def _swish(edit: Edit, node: Node, x: str, gate: str) -> bool:
    inner = edit.inner(gate, "Sigmoid", "HardSigmoid", "Tanh")
    if inner is None:
        return False
    if inner.op == "Tanh":
        softplus = edit.inner(inner.inputs[0], "Softplus")
        if softplus is None or softplus.inputs[0] != x:
            return False
        edit.replace([softplus, inner, node], "Mish", (x,))
        return True
    if inner.inputs[0] != x:
        return inner.op == "Sigmoid" and _scaled_swish(edit, node, x, inner)
    if inner.op == "Sigmoid":
        edit.replace([inner, node], "Swish", (x,))
        return True
    if not _sixth(inner.attrs.get("alpha", 0.2)) or inner.attrs.get("beta", 0.5) != 0.5:
        return False
    edit.replace([inner, node], "HardSwish", (x,))
    return True


def _scaled_swish(edit: Edit, node: Node, x: str, gate: Node) -> bool:
    scaled = edit.inner(gate.inputs[0], "Mul")
    if scaled is None or x not in scaled.inputs:
        return False
    alpha = edit.number(scaled.inputs[1] if scaled.inputs[0] == x else scaled.inputs[0])
    if alpha is None:
        return False
    edit.replace([scaled, gate, node], "Swish", (x,), alpha=alpha)
    return True


def _written_out(edit: Edit, node: Node, product: str, sixth: str) -> bool:
    """``x * clip(x + 3, 0, 6) / 6``, in which the sixth may be on either factor."""
    factor = edit.number(sixth)
    if factor is None or not _sixth(factor):
        return False
    inner = edit.inner(product, "Mul")
    if inner is None:
        return False
    for x, gate in (inner.inputs, inner.inputs[::-1]):
        clip = edit.inner(gate, "Clip")
        if clip is None or clip.attrs.get("min") != 0 or clip.attrs.get("max") != 6:
            continue
        total = edit.inner(clip.inputs[0], "Add")
        if total is not None and x in total.inputs and 3.0 in map(edit.number, total.inputs):
            edit.replace([total, clip, inner, node], "HardSwish", (x,))
            return True
    return False


def _sixth(number: float) -> bool:
    return abs(number - 1 / 6) < 1e-6
