"""LayerNormalization written out: mean, difference, square, mean, root, quotient, scale, shift."""

from __future__ import annotations

from axsim.graph.ir import Node
from axsim.network.fusion.edit import Edit


def layer_norm(edit: Edit) -> None:
    """Every written-out normalisation over the last axis."""
    for root in edit.nodes("Sqrt"):
        found = _statistics(edit, root)
        quotient = edit.reader(root.outputs[0])
        if found is None or quotient is None or quotient.op != "Div":
            continue
        x, epsilon, nodes, centred = found
        if quotient.inputs != (centred, root.outputs[0]):
            continue
        nodes = [*nodes, root, quotient]
        width = edit.shape(x)[-1]
        scale = _affine(edit, quotient, "Mul", width)
        if scale is None:
            continue
        shift = _affine(edit, scale[0], "Add", width)
        inputs = [x, scale[1]]
        nodes.append(scale[0])
        if shift is not None:
            inputs.append(shift[1])
            nodes.append(shift[0])
        edit.replace(nodes, "LayerNormalization", inputs, axis=-1, epsilon=epsilon)


def _statistics(edit: Edit, root: Node) -> tuple[str, float, list[Node], str] | None:
    """What is normalised, epsilon, the nodes in front of the root, and the centred tensor."""
    shifted = edit.inner(root.inputs[0], "Add")
    if shifted is None:
        return None
    for variance, constant in (shifted.inputs, shifted.inputs[::-1]):
        epsilon = edit.number(constant)
        mean = edit.inner(variance, "ReduceMean")
        if epsilon is None or mean is None or not _over_last(edit, mean):
            continue
        square = edit.inner(mean.inputs[0], "Pow", "Mul")
        if square is None:
            continue
        centred = square.inputs[0]
        if square.inputs[1] != centred and edit.number(square.inputs[1]) != 2.0:
            continue
        # Exporters subtract the mean once for the square and the quotient, or once for each.
        difference = edit.maker(centred)
        if difference is None or difference.op != "Sub":
            continue
        x = difference.inputs[0]
        average = edit.maker(difference.inputs[1])
        if average is None or average.op != "ReduceMean" or average.inputs[0] != x:
            continue
        allowed = {square.name, *(n.name for n in edit.readers(root.outputs[0]))}
        readers = {n.name for n in edit.readers(centred)}
        if not _over_last(edit, average) or not readers <= allowed:
            continue
        if not edit.is_inner(average.outputs[0]):
            continue
        return x, epsilon, [average, difference, square, mean, shifted], centred
    return None


def _over_last(edit: Edit, node: Node) -> bool:
    rank = len(edit.shape(node.inputs[0]))
    axes = tuple(node.attrs.get("axes") or ())
    return axes in ((-1,), (rank - 1,)) and bool(node.attrs.get("keepdims", 1))


def _affine(edit: Edit, node: Node, op: str, width: int) -> tuple[Node, str] | None:
    """The only reader of ``node``, if it is ``op`` with a vector of ``width``, and that vector."""
    reader = edit.reader(node.outputs[0])
    if reader is None or reader.op != op:
        return None
    a, b = reader.inputs
    vector = b if a == node.outputs[0] else a
    return (reader, vector) if edit.is_weight(vector) and edit.shape(vector) == (width,) else None
