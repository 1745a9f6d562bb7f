"""Float32 arithmetic: the reference that quantised runs are compared with."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Mapping, Sequence
from math import prod
from typing import Any

import numpy as np

from axsim.graph.ir import Graph, Node, Tensor
from axsim.graph.ops import OPERATORS
from axsim.graph.patterns import Attention, Chains
from axsim.kernels import pixels, squares
from axsim.kernels.array import Array
from axsim.kernels.attention import attention
from axsim.kernels.convolution import conv, finishing
from axsim.kernels.dense import Stage, activated, added, clamped, linear, multiplied
from axsim.kernels.gates import SWISH
from axsim.kernels.windows import Windows, windows
from axsim.numerics.steps import Step, Weights, single

_LINEAR = {"transB": 1}
"""Attributes of the Gemms that the models have: y = x W' + b."""
_TAIL = {"Add", "Mul"} | {name for name, op in OPERATORS.items() if op.role == "function"}
"""What a product applies to its sums while these are warm."""


class Float32:
    """Every floating tensor in float32, whatever its storage dtype; integers stay integers.

    Attention, and what follows a Gemm element by element, run as chains unless something inside
    them is kept. The operators' own kernels give the same values up to rounding.
    """

    def __init__(self) -> None:
        self._packed: dict[str, tuple[int, bool]] = {}
        self._ready: dict[str, pixels.PixelWeight] = {}

    def load(self, tensor: Tensor, weights: Weights) -> Any:
        """The weight itself, or packed where convolutions alone take it."""
        packed = self._packed.get(tensor.name)
        if packed is None:
            return weights(tensor.name)
        if tensor.name not in self._ready:
            self._ready[tensor.name] = pixels.weight(weights(tensor.name), *packed)
        return self._ready[tensor.name]

    def feed(self, tensor: Tensor, array: Array) -> Array:
        """``array`` as float32, or untouched when it is an integer or boolean array."""
        return array if array.dtype.kind in "iub" else array.astype(np.float32, copy=False)

    def fetch(self, tensor: Tensor, value: Array) -> Array:
        """``value`` itself."""
        return value

    def steps(self, graph: Graph, keep: Collection[str]) -> Mapping[str, Step | None]:
        """One step for each chain and each node outside chains."""
        steps: dict[str, Step | None] = {
            node.name: single(node, OPERATORS[node.op].kernel) for node in graph.nodes
        }
        self._packed |= _packable(graph)
        chains = Chains(graph, keep)
        for found in chains.attentions():
            _replace(steps, found.nodes, _attention_step(found))
        for nodes in chains.products(("Gemm", "Conv"), _TAIL):
            shape = graph.tensors[nodes[0].outputs[0]].shape
            if nodes[0].op == "Conv" and nodes[0].inputs[1] in self._packed:
                nodes = nodes if shape[0] == 1 else nodes[:1]
                x, w = (graph.tensors[name].shape[2:] for name in nodes[0].inputs[:2])
                _replace(steps, nodes, _pixel_step(nodes, shape, windows(x, w, nodes[0].attrs)))
            elif nodes[0].op == "Conv" and shape[0] == 1:
                _replace(steps, nodes, _conv_step(nodes, shape))
            elif nodes[0].attrs == _LINEAR:
                _replace(steps, nodes, _gemm_step(nodes))
        return steps


def _replace(steps: dict[str, Step | None], nodes: Sequence[Node], step: Step) -> None:
    steps.update({node.name: None for node in nodes[:-1]})
    steps[nodes[-1].name] = step


def _attention_step(found: Attention) -> Step:
    names = [found.q, found.k, found.v, found.scale, found.mask]
    inputs = tuple(n for n in names if n is not None)
    present = [n is not None for n in names]

    def run(*values: Array) -> tuple[Array]:
        supplied = iter(values)
        q, k, v, scale, mask = (next(supplied) if p else None for p in present)
        assert q is not None
        assert k is not None
        assert v is not None
        return (attention(q, k, v, scale, mask),)

    return Step(inputs, found.nodes[-1].outputs, run)


def _gemm_step(nodes: Sequence[Node]) -> Step:
    gemm, *tail = nodes
    inputs, others = _operands(nodes)

    def run(*values: Array) -> tuple[Array]:
        stages = [added(values[2])] if len(gemm.inputs) > 2 else []
        for node, place in zip(tail, others, strict=True):
            stages.append(_stage(node, None if place is None else values[place]))
        return (linear(values[0], values[1], stages),)

    return Step(inputs, nodes[-1].outputs, run)


def _packable(graph: Graph) -> dict[str, tuple[int, bool]]:
    """Weights that nothing but convolutions of planes takes, with the number of their groups and
    whether all are faster in squares, where such can be computed by pixel; a graph has to have
    several, or the change of layout is no gain.
    """
    users: dict[str, list[tuple[int, bool] | None]] = {}
    for node in graph.nodes:
        for index, name in enumerate(node.inputs):
            use = _use(graph, node) if (node.op, index) == ("Conv", 1) else None
            users.setdefault(name, []).append(use)
    found = {
        name: (uses[0][0], all(use is not None and use[1] for use in uses))
        for name, uses in users.items()
        if uses[0] is not None
        and all(use is not None and use[0] == uses[0][0] for use in uses)
        and graph.tensors[name].kind == "weight"
        and len(graph.tensors[name].shape) == 4
    }
    return found if len(found) > 1 and pixels.supported() else {}


def _use(graph: Graph, conv: Node) -> tuple[int, bool]:
    """A convolution's groups, and whether it is faster in squares."""
    x, w = (graph.tensors[name].shape for name in conv.inputs[:2])
    group: int = conv.attrs.get("group", 1)
    return group, squares.pay(w, group, windows(x[2:], w[2:], conv.attrs), np.float32)


def _pixel_step(nodes: Sequence[Node], shape: tuple[int, ...], at: Windows) -> Step:
    """A convolution of windows ``at``, of a ``shape`` that is seen as rows of positions."""
    first, *tail = nodes
    inputs, others = _operands(nodes)
    sums, low, high, rest = _finish_of(tail)
    gate = OPERATORS[tail[rest].op].gate if rest < len(tail) else None
    swish = gate is not None and gate(tail[rest].attrs) == SWISH
    latest: list[Any] = [None, None]

    def run(*values: Array) -> tuple[Array]:
        rows = [None if place is None else _positions(values[place], shape) for place in others]
        bias = values[2] if len(first.inputs) > 2 else None
        whole = bool(sums) and rows[0] is not None and rows[0].shape == (prod(shape[2:]), shape[1])
        if sums and not whole:
            finish, done = pixels.Finish(bias), 0
        else:
            finish = pixels.Finish(bias, rows[0] if sums else None, low, high, swish)
            done = rest + swish
        stages = [_stage(n, o) for n, o in zip(tail[done:], rows[done:], strict=True)]
        x = values[0]
        weight: Any = values[1]
        if latest[0] is not weight:
            latest[:] = weight, pixels.convolution(weight, at, x.shape[1:])
        return (latest[1](x, finish, stages),)

    return Step(inputs, nodes[-1].outputs, run)


def _finish_of(tail: Sequence[Node]) -> tuple[bool, float | None, float | None, int]:
    """What is most common behind a convolution and goes over its sums once: whether a sum, the
    limits, and how many nodes these are."""
    sums = bool(tail) and tail[0].op == "Add"
    limit = tail[sums:][:1]
    limits = None if not limit else OPERATORS[limit[0].op].limits
    low, high = (None, None) if limits is None else limits(limit[0].attrs)
    return sums, low, high, sums + (limits is not None)


def _positions(other: Array, shape: tuple[int, ...]) -> Array:
    """An operand of a tensor [1, C, H, W] as rows: [positions, C], [C] or a number."""
    if other.size == 1:
        return other
    if other.size == shape[1] and other.ndim >= 3 and other.shape[-3] > 1:
        return other.reshape(-1)
    if other.shape != shape:
        other = np.broadcast_to(other, shape)
    return pixels.by_pixel(other).reshape(-1, shape[1])


def _conv_step(nodes: Sequence[Node], shape: tuple[int, ...]) -> Step:
    """A convolution whose result of ``shape`` is seen as rows, one for each channel."""
    first, *tail = nodes
    inputs, others = _operands(nodes)
    sums, low, high, rest = _finish_of(tail)

    def run(*values: Array) -> tuple[Array]:
        rows = [None if place is None else _channels(values[place], shape) for place in others]
        bias = values[2] if len(first.inputs) > 2 else None
        if sums and rows[0] is not None and rows[0].shape != (shape[1], prod(shape[2:])):
            stages = [finishing(bias), added(rows[0]), clamped(low, high)]
        else:
            stages = [finishing(bias, rows[0] if sums else None, low, high)]
        for node, other in zip(tail[rest:], rows[rest:], strict=True):
            stages.append(_stage(node, other))
        at = windows(values[0].shape[2:], values[1].shape[2:], first.attrs)
        return (conv(values[0], values[1], at, first.attrs.get("group", 1), stages),)

    return Step(inputs, nodes[-1].outputs, run)


def _operands(nodes: Sequence[Node]) -> tuple[tuple[str, ...], list[int | None]]:
    """The inputs of a chain, and for each node after the first which of them it takes."""
    inputs = list(nodes[0].inputs)
    places: list[int | None] = []
    for previous, node in itertools.pairwise(nodes):
        other = [n for n in node.inputs if n != previous.outputs[0]]
        places.append(len(inputs) if other else None)
        inputs += other
    return tuple(inputs), places


def _channels(other: Array, shape: tuple[int, ...]) -> Array:
    """An operand of a tensor [1, C, ...] as rows: [C, positions], [C, 1] or a number."""
    if other.size == 1:
        return other
    if other.size == shape[1] and other.ndim >= len(shape) - 1 and other.shape[1 - len(shape)] > 1:
        return other.reshape(-1, 1)
    return np.broadcast_to(other, shape).reshape(shape[1], -1)


def _stage(node: Node, other: Array | None) -> Stage:
    operator = OPERATORS[node.op]
    if operator.gate is not None:
        return activated(operator.gate(node.attrs))
    if operator.limits is not None:
        return clamped(*operator.limits(node.attrs))
    if operator.role == "function":
        return _applied(node)
    assert other is not None
    return added(other) if node.op == "Add" else multiplied(other)


def _applied(node: Node) -> Stage:
    kernel = OPERATORS[node.op].kernel

    def stage(y: Array, rows: slice, columns: slice) -> None:
        y[rows, columns] = kernel(y[rows, columns], **node.attrs)[0]

    return stage
