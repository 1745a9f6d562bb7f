"""Our operators in ONNX's operator set 18, which compilers know.

What came to ONNX later (Gelu, Swish, RMSNormalization, RotaryEmbedding) is written out in older
operators; shapes that are attributes here become initialisers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import pi, sqrt

import numpy as np

from axsim.export.writer import ELEMENT, Writer
from axsim.graph.ir import Graph, Node

Emit = Callable[[Writer, Graph, Node, Sequence[str], Sequence[str]], None]


def emit(
    w: Writer, graph: Graph, node: Node, inputs: Sequence[str], outputs: Sequence[str]
) -> None:
    """Append ``node``, reading the ONNX tensors ``inputs`` and making ``outputs``.

    Raises ValueError for an operator that has no translation.
    """
    if node.op in _AS_IT_IS:
        attrs = {k: list(v) if isinstance(v, tuple) else v for k, v in node.attrs.items()}
        w.node(node.op, inputs, outputs, **attrs)
    elif node.op in _TRANSLATED:
        _TRANSLATED[node.op](w, graph, node, inputs, outputs)
    else:
        raise ValueError(f"graph {graph.name}: {node.op} has no ONNX translation")


def _integers(w: Writer, name: str, values: Sequence[int]) -> str:
    return w.constant(name, np.array(values, np.int64))


def _number(w: Writer, value: float) -> str:
    return w.constant(f"number/{value!r}", np.array(value, np.float32))


def _reshape(w: Writer, graph: Graph, node: Node, x: Sequence[str], y: Sequence[str]) -> None:
    shape = _integers(w, f"{node.name}/shape", graph.tensors[node.outputs[0]].shape)
    w.node("Reshape", [x[0], shape], y)


def _slice(w: Writer, graph: Graph, node: Node, x: Sequence[str], y: Sequence[str]) -> None:
    count = len(node.attrs["starts"])
    parts = {"starts": node.attrs["starts"], "ends": node.attrs["ends"]}
    parts["axes"] = node.attrs.get("axes") or range(count)
    parts["steps"] = node.attrs.get("steps") or [1] * count
    names = [_integers(w, f"{node.name}/{key}", list(part)) for key, part in parts.items()]
    w.node("Slice", [x[0], *names], y)


def _split(w: Writer, graph: Graph, node: Node, x: Sequence[str], y: Sequence[str]) -> None:
    axis = int(node.attrs.get("axis", 0))
    sizes = [graph.tensors[name].shape[axis] for name in node.outputs]
    w.node("Split", [x[0], _integers(w, f"{node.name}/split", sizes)], y, axis=axis)


def _cast(w: Writer, graph: Graph, node: Node, x: Sequence[str], y: Sequence[str]) -> None:
    w.node("Cast", x, y, to=ELEMENT[node.attrs["to"]])


def _gather(w: Writer, graph: Graph, node: Node, x: Sequence[str], y: Sequence[str]) -> None:
    index = w.node("Cast", [x[1]], f"{node.name}/index", to=ELEMENT["s64"])
    w.node("Gather", [x[0], index], y, axis=int(node.attrs.get("axis", 0)))


def _gelu(w: Writer, graph: Graph, node: Node, x: Sequence[str], y: Sequence[str]) -> None:
    name, one, half = node.name, _number(w, 1.0), _number(w, 0.5)
    if node.attrs.get("approximate", "none") == "tanh":
        square = w.node("Mul", [x[0], x[0]], f"{name}/square")
        cube = w.node("Mul", [square, x[0]], f"{name}/cube")
        cube = w.node("Mul", [cube, _number(w, 0.044715)], f"{name}/part")
        inner = w.node("Add", [x[0], cube], f"{name}/sum")
        inner = w.node("Mul", [inner, _number(w, sqrt(2 / pi))], f"{name}/inner")
        inner = w.node("Tanh", [inner], f"{name}/tanh")
    else:
        inner = w.node("Div", [x[0], _number(w, sqrt(2.0))], f"{name}/inner")
        inner = w.node("Erf", [inner], f"{name}/erf")
    twice = w.node("Add", [inner, one], f"{name}/twice")
    product = w.node("Mul", [x[0], twice], f"{name}/product")
    w.node("Mul", [product, half], y)


def _swish(w: Writer, graph: Graph, node: Node, x: Sequence[str], y: Sequence[str]) -> None:
    alpha, inner = float(node.attrs.get("alpha", 1.0)), x[0]
    if alpha != 1.0:
        inner = w.node("Mul", [inner, _number(w, alpha)], f"{node.name}/scaled")
    gate = w.node("Sigmoid", [inner], f"{node.name}/sigmoid")
    w.node("Mul", [x[0], gate], y)


def _rms(w: Writer, graph: Graph, node: Node, x: Sequence[str], y: Sequence[str]) -> None:
    name, rank = node.name, len(graph.tensors[node.inputs[0]].shape)
    first = int(node.attrs.get("axis", -1)) % rank
    axes = _integers(w, f"{name}/axes", list(range(first, rank)))
    square = w.node("Mul", [x[0], x[0]], f"{name}/square")
    mean = w.node("ReduceMean", [square, axes], f"{name}/mean", keepdims=1)
    epsilon = _number(w, float(node.attrs.get("epsilon", 1e-5)))
    root = w.node("Sqrt", [w.node("Add", [mean, epsilon], f"{name}/biased")], f"{name}/root")
    normal = w.node("Div", [x[0], root], f"{name}/normal")
    w.node("Mul", [normal, x[1]], y)


def _rotary(w: Writer, graph: Graph, node: Node, x: Sequence[str], y: Sequence[str]) -> None:
    """Rows [1, T, heads * d] with cosines and sines [1, T, rotated / 2] of each row."""
    shape = graph.tensors[node.inputs[0]].shape
    if node.attrs.get("interleaved") or len(shape) != 3 or len(node.inputs) != 3:
        raise ValueError(f"graph {graph.name}: {node.name} is a rotation without translation")
    name, heads = node.name, int(node.attrs["num_heads"])
    d = shape[2] // heads
    rotated = int(node.attrs.get("rotary_embedding_dim") or d)
    half = rotated // 2
    view = _integers(w, f"{name}/heads", [shape[0], shape[1], heads, d])
    split = w.node("Reshape", [x[0], view], f"{name}/view")
    sizes = [half, half] + ([d - rotated] if d > rotated else [])
    parts = [f"{name}/part{i}" for i in range(len(sizes))]
    w.node("Split", [split, _integers(w, f"{name}/sizes", sizes)], parts, axis=3)
    table = _integers(w, f"{name}/table", [shape[0], shape[1], 1, half])
    cos, sin = (
        w.node("Reshape", [t, table], f"{name}/{k}") for t, k in zip(x[1:], "cs", strict=True)
    )
    a, b = parts[:2]
    products = {
        key: w.node("Mul", operands, f"{name}/{key}")
        for key, operands in {
            "ac": [a, cos],
            "bs": [b, sin],
            "bc": [b, cos],
            "as": [a, sin],
        }.items()
    }
    first = w.node("Sub", [products["ac"], products["bs"]], f"{name}/first")
    second = w.node("Add", [products["bc"], products["as"]], f"{name}/second")
    joined = w.node("Concat", [first, second, *parts[2:]], f"{name}/joined", axis=3)
    w.node("Reshape", [joined, _integers(w, f"{name}/rows", list(shape))], y)


_AS_IT_IS = frozenset(
    {"Add", "Sub", "Mul", "Div", "MatMul", "Gemm", "Conv", "Softmax", "Transpose", "Concat"}
) | {"LayerNormalization"}
_TRANSLATED: dict[str, Emit] = {
    "Reshape": _reshape,
    "Slice": _slice,
    "Split": _split,
    "Cast": _cast,
    "Gather": _gather,
    "Gelu": _gelu,
    "Swish": _swish,
    "RMSNormalization": _rms,
    "RotaryEmbedding": _rotary,
}
