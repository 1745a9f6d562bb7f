"""Products with a weight matrix become Gemm with the bias that follows, on rows.

The matrix lies as [out, in], as integer products take it.
"""

from __future__ import annotations

from math import prod

import numpy as np

from axsim.graph.ir import Node
from axsim.kernels.array import Array
from axsim.network.fusion.edit import Edit


def vectors(edit: Edit) -> None:
    """Every MatMul of a vector becomes one of a matrix of one row or one column."""
    for node in edit.nodes("MatMul"):
        if any(len(edit.shape(name)) == 1 for name in node.inputs):
            _of_matrices(edit, node)


def projections(edit: Edit) -> None:
    """Every MatMul with a weight on its right, and every Gemm."""
    for node in edit.nodes("MatMul"):
        x, w = node.inputs
        if not edit.is_weight(x) and edit.is_weight(w) and len(edit.shape(w)) == 2:
            _project(edit, node)
    for node in edit.nodes("Gemm"):
        _turn(edit, node)


def _of_matrices(edit: Edit, node: Node) -> None:
    left, right = node.inputs
    edit.remove(node)
    if len(edit.shape(left)) == 1:
        left = _reshaped(edit, node, left, (1, *edit.shape(left)))
    if len(edit.shape(right)) == 1:
        right = _reshaped(edit, node, right, (*edit.shape(right), 1))
    product = edit.add(node, "MatMul", (left, right))
    shape = edit.shape(node.outputs[0])
    edit.add(node, "Reshape", (product,), node.outputs[0], shape=shape)


def _reshaped(edit: Edit, node: Node, name: str, shape: tuple[int, ...]) -> str:
    if edit.is_weight(name):
        return edit.derive(f"{name}:matrix", shape, (name,), lambda array: array.reshape(shape))
    return edit.add(node, "Reshape", (name,), shape=shape)


def _project(edit: Edit, node: Node) -> None:
    x, w = node.inputs
    shape, (inner, out) = edit.shape(x), edit.shape(w)
    bias: tuple[str, ...] = ()
    nodes, output = [node], node.outputs[0]
    reader = edit.reader(output)
    if reader is not None and reader.op == "Add":
        other = reader.inputs[1] if reader.inputs[0] == output else reader.inputs[0]
        if edit.is_weight(other) and edit.shape(other) == (out,):
            bias, nodes, output = (other,), [node, reader], reader.outputs[0]
    matrix = edit.derive(f"{w}:rows", (out, inner), (w,), _transposed)
    last = nodes[-1]
    edit.remove(*nodes)
    if len(shape) == 2:
        edit.add(last, "Gemm", (x, matrix, *bias), output, transB=1)
        return
    rows = edit.add(last, "Reshape", (x,), shape=(prod(shape[:-1]), inner))
    y = edit.add(last, "Gemm", (rows, matrix, *bias), transB=1)
    edit.add(last, "Reshape", (y,), output, shape=(*shape[:-1], out))


def _turn(edit: Edit, node: Node) -> None:
    """A Gemm by weights with A as it is, B transposed, alpha = beta = 1, and a bias of weights."""
    attrs = dict(node.attrs)
    x, w, *bias = node.inputs
    if not edit.is_weight(w) or edit.is_weight(x):
        return
    alpha, beta = float(attrs.get("alpha", 1.0)), float(attrs.get("beta", 1.0))
    turned = bool(attrs.get("transB"))
    summed = [name for name in bias if not edit.is_weight(name)]
    if turned and alpha == beta == 1.0 and not attrs.get("transA") and not summed:
        if attrs != {"transB": 1}:
            edit.replace([node], "Gemm", node.inputs, transB=1)
        return
    shape = edit.shape(w) if turned else edit.shape(w)[::-1]

    def matrix(array: Array) -> Array:
        rows = array if turned else array.T
        return np.ascontiguousarray(rows * np.float32(alpha))

    edit.remove(node)
    if attrs.get("transA"):
        x = edit.add(node, "Transpose", (x,), perm=(1, 0))
    inputs = [x, edit.derive(f"{w}:rows", shape, (w,), matrix)]
    if bias and not summed:
        inputs += [
            edit.derive(
                f"{bias[0]}:scaled", edit.shape(bias[0]), bias, lambda b: b * np.float32(beta)
            )
        ]
    if not summed:
        edit.add(node, "Gemm", inputs, node.outputs[0], transB=1)
        return
    other = summed[0]
    if beta != 1.0:
        other = edit.add(node, "Mul", (other, edit.constant(f"{node.name}:beta", beta)))
    product = edit.add(node, "Gemm", inputs, transB=1)
    edit.add(node, "Add", (product, other), node.outputs[0])


def _transposed(w: Array) -> Array:
    return np.ascontiguousarray(w.T)
