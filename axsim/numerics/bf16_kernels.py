"""Operators on bf16 numbers as single compiled loops, their rounding included.

Functions of one bf16 number come from a table of all 65 536. What has no loop here is computed by
the operator's own kernel and rounded afterwards: :mod:`axsim.numerics.weight_only`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from types import ModuleType
from typing import Any

import numpy as np

from axsim.graph.ir import Graph, Node
from axsim.graph.ops import OPERATORS
from axsim.kernels.arithmetic import from_bf16_bits, round_bf16
from axsim.kernels.array import Array
from axsim.kernels.loops import weight_loops
from axsim.kernels.parallel import for_rows

Kernel = Callable[..., Array]
"""Takes the values of a node's inputs and gives that of its output."""

_ALONE = 1 << 19
"""Elements that one core is done with before it could wake another."""


def bf16_kernel(graph: Graph, node: Node) -> Kernel | None:
    """The loop for ``node``, whose result is rounded to bf16; None where there is none."""
    make = _function if OPERATORS[node.op].role == "function" else _KERNELS.get(node.op)
    loops = weight_loops()
    if make is None or loops is None or graph.tensors[node.outputs[0]].dtype != "bf16":
        return None
    return make(loops, graph, node)


def gated_kernel(graph: Graph, function: Node, times: Node) -> Kernel | None:
    """``function(x) * other``, both steps rounded, as one loop; None where there is none."""
    loops = weight_loops()
    names = function.inputs[0], *times.inputs, *times.outputs
    shape = graph.tensors[times.outputs[0]].shape
    if loops is None or any(graph.tensors[n].dtype != "bf16" for n in names):
        return None
    if any(graph.tensors[n].shape != shape for n in names):
        return None
    loop, table = loops.look_up_times, function_table(function.op, tuple(function.attrs.items()))

    def run(x: Array, other: Array) -> Array:
        x, other = np.ascontiguousarray(x), np.ascontiguousarray(other)
        return _by_rows(lambda rows, y: loop(table, x[rows], other[rows], y), x.shape)

    return run


def _elementwise(loops: ModuleType, graph: Graph, node: Node) -> Kernel | None:
    shape = graph.tensors[node.outputs[0]].shape
    if any(graph.tensors[name].shape != shape for name in node.inputs):
        return None
    loop = {"Add": loops.add, "Mul": loops.multiply}[node.op]

    def run(a: Array, b: Array) -> Array:
        a, b = np.ascontiguousarray(a), np.ascontiguousarray(b)
        return _by_rows(lambda rows, y: loop(a[rows], b[rows], y), a.shape)

    return run


def _function(loops: ModuleType, graph: Graph, node: Node) -> Kernel | None:
    if graph.tensors[node.inputs[0]].dtype != "bf16":
        return None
    loop, table = loops.look_up, function_table(node.op, tuple(node.attrs.items()))

    def run(x: Array) -> Array:
        x = np.ascontiguousarray(x)
        return _by_rows(lambda rows, y: loop(table, x[rows], y), x.shape)

    return run


@lru_cache(maxsize=16)
def function_table(op: str, attrs: tuple[tuple[str, Any], ...]) -> Array:
    """Operator ``op`` of every bf16 number, by its bit pattern: bf16 numbers as float32 [65536]."""
    numbers = from_bf16_bits(np.arange(1 << 16, dtype=np.uint16))
    with np.errstate(all="ignore"):
        table = round_bf16(OPERATORS[op].kernel(numbers, **dict(attrs))[0])
    table.flags.writeable = False
    return table


def _rms_norm(loops: ModuleType, graph: Graph, node: Node) -> Kernel | None:
    x, scale = (graph.tensors[name].shape for name in node.inputs)
    if scale != x[-1:] or node.attrs.get("axis", -1) not in (-1, len(x) - 1):
        return None
    loop, epsilon = loops.rms_norm, float(node.attrs.get("epsilon", 1e-5))

    def run(x: Array, scale: Array) -> Array:
        flat = np.ascontiguousarray(x).reshape(-1, scale.size)
        y = _by_rows(lambda rows, y: loop(flat[rows], scale, epsilon, y), flat.shape)
        return y.reshape(x.shape)

    return run


def _rotate(loops: ModuleType, graph: Graph, node: Node) -> Kernel | None:
    batch, tokens, *_ = shape = graph.tensors[node.inputs[0]].shape
    if len(shape) != 3 or batch != 1 or len(node.inputs) != 3 or node.attrs.get("interleaved"):
        return None
    loop, heads = loops.rotate, int(node.attrs["num_heads"])

    def run(x: Array, cos: Array, sin: Array) -> Array:
        x = np.ascontiguousarray(x).reshape(tokens, heads, -1)
        cos, sin = np.ascontiguousarray(cos[0]), np.ascontiguousarray(sin[0])
        y = _by_rows(lambda rows, y: loop(x[rows], cos[rows], sin[rows], y), x.shape)
        return y.reshape(shape)

    return run


# Compiled loops of single operators; one that has none here is computed by its own kernel.
_KERNELS: dict[str, Callable[[ModuleType, Graph, Node], Kernel | None]] = {
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
