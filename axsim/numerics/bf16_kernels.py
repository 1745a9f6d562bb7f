"""Operators on bf16 numbers in one pass each, their rounding included.

Functions of one bf16 number come from a table of all 65 536. What has no pass here is computed by
the operator's own kernel and rounded afterwards: :mod:`axsim.numerics.weight_only`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np

from axsim.graph.ir import Graph, Node
from axsim.graph.ops import OPERATORS
from axsim.kernels import bf16
from axsim.kernels.arithmetic import from_bf16_bits, round_bf16
from axsim.kernels.array import Array
from axsim.kernels.parallel import for_rows

Kernel = Callable[..., Array]
"""Takes the values of a node's inputs and gives that of its output."""

_ALONE = 1 << 19
"""Elements that one core is done with before it could wake another."""


def bf16_kernel(graph: Graph, node: Node) -> Kernel | None:
    """The pass for ``node``, whose result is rounded to bf16; None where there is none."""
    make = _function if OPERATORS[node.op].role == "function" else _KERNELS.get(node.op)
    if make is None or graph.tensors[node.outputs[0]].dtype != "bf16":
        return None
    return make(graph, node)


def gated_kernel(graph: Graph, function: Node, times: Node) -> Kernel | None:
    """``function(x) * other``, both steps rounded, as one pass; None where there is none."""
    names = function.inputs[0], *times.inputs, *times.outputs
    shape = graph.tensors[times.outputs[0]].shape
    if any(graph.tensors[n].dtype != "bf16" for n in names):
        return None
    if any(graph.tensors[n].shape != shape for n in names):
        return None
    table = function_table(function.op, tuple(function.attrs.items()))

    def run(x: Array, other: Array) -> Array:
        x, other = np.ascontiguousarray(x), np.ascontiguousarray(other)
        return _by_rows(lambda rows, y: bf16.look_up_times(table, x[rows], other[rows], y), x.shape)

    return run


def _elementwise(graph: Graph, node: Node) -> Kernel | None:
    shape = graph.tensors[node.outputs[0]].shape
    if any(graph.tensors[name].shape != shape for name in node.inputs):
        return None
    run_block = bf16.add if node.op == "Add" else bf16.multiply

    def run(a: Array, b: Array) -> Array:
        a, b = np.ascontiguousarray(a), np.ascontiguousarray(b)
        return _by_rows(lambda rows, y: run_block(a[rows], b[rows], y), a.shape)

    return run


def _function(graph: Graph, node: Node) -> Kernel | None:
    if graph.tensors[node.inputs[0]].dtype != "bf16":
        return None
    table = function_table(node.op, tuple(node.attrs.items()))

    def run(x: Array) -> Array:
        x = np.ascontiguousarray(x)
        return _by_rows(lambda rows, y: bf16.look_up(table, x[rows], y), x.shape)

    return run


@lru_cache(maxsize=16)
def function_table(op: str, attrs: tuple[tuple[str, Any], ...]) -> Array:
    """Operator ``op`` of every bf16 number, by its bit pattern: bf16 numbers as float32 [65536]."""
    numbers = from_bf16_bits(np.arange(1 << 16, dtype=np.uint16))
    with np.errstate(all="ignore"):
        table = round_bf16(OPERATORS[op].kernel(numbers, **dict(attrs))[0])
    table.flags.writeable = False
    return table


def _rms_norm(graph: Graph, node: Node) -> Kernel | None:
    x, scale = (graph.tensors[name].shape for name in node.inputs)
    if scale != x[-1:] or node.attrs.get("axis", -1) not in (-1, len(x) - 1):
        return None
    epsilon = float(node.attrs.get("epsilon", 1e-5))

    def run(x: Array, scale: Array) -> Array:
        flat = np.ascontiguousarray(x).reshape(-1, scale.size)
        y = _by_rows(lambda rows, y: bf16.rms_norm(flat[rows], scale, epsilon, y), flat.shape)
        return y.reshape(x.shape)

    return run


def _rotate(graph: Graph, node: Node) -> Kernel | None:
    batch, tokens, *_ = shape = graph.tensors[node.inputs[0]].shape
    if len(shape) != 3 or batch != 1 or len(node.inputs) != 3 or node.attrs.get("interleaved"):
        return None
    heads = int(node.attrs["num_heads"])

    def run(x: Array, cos: Array, sin: Array) -> Array:
        x = np.ascontiguousarray(x).reshape(tokens, heads, -1)
        cos, sin = np.ascontiguousarray(cos[0]), np.ascontiguousarray(sin[0])
        y = _by_rows(lambda rows, y: bf16.rotate(x[rows], cos[rows], sin[rows], y), x.shape)
        return y.reshape(shape)

    return run


# Passes of single operators; one that has none here is computed by its own kernel.
_KERNELS: dict[str, Callable[[Graph, Node], Kernel | None]] = {
    "Add": _elementwise,
    "Mul": _elementwise,
    "RMSNormalization": _rms_norm,
    "RotaryEmbedding": _rotate,
}


def _by_rows(loop: Callable[[slice, Array], None], shape: tuple[int, ...]) -> Array:
    y = np.empty(shape, np.float32)
    if y.size <= _ALONE:
        loop(slice(None), y)
    else:
        for_rows(lambda rows: loop(rows, y[rows]), shape[0], max(1, _ALONE * shape[0] // y.size))
    return y
