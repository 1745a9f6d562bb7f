"""Float32 arithmetic: the reference that quantised runs are compared with."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence

import numpy as np

from axsim.graph.ir import Graph, Node, Tensor
from axsim.graph.ops import OPERATORS
from axsim.graph.patterns import Attention, Chains
from axsim.graph.windows import windows
from axsim.kernels.array import Array
from axsim.kernels.attention import attention
from axsim.kernels.conv import conv
from axsim.kernels.dense import Stage, activated, added, clamped, linear, multiplied
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

    def load(self, tensor: Tensor, weights: Weights) -> Array:
        """The weight itself."""
        return weights(tensor.name)

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
        chains = Chains(graph, keep)
        for found in chains.attentions():
            _replace(steps, found.nodes, _attention_step(found))
        for nodes in chains.products(("Gemm", "Conv"), _TAIL):
            shape = graph.tensors[nodes[0].outputs[0]].shape
            if nodes[0].op == "Conv" and shape[0] == 1:
                _replace(steps, nodes, _product_step(nodes, _conv, shape))
            elif nodes[0].attrs == _LINEAR:
                _replace(steps, nodes, _product_step(nodes, _gemm, shape))
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


Product = Callable[[Node, Array, Array, Array | None, Sequence[Stage]], Array]
"""A product of activations and weights with a bias, to whose result stages are applied."""


def _gemm(node: Node, x: Array, w: Array, bias: Array | None, stages: Sequence[Stage]) -> Array:
    return linear(x, w, stages if bias is None else [added(bias), *stages])


def _conv(node: Node, x: Array, w: Array, bias: Array | None, stages: Sequence[Stage]) -> Array:
    at = windows(x.shape[2:], w.shape[2:], node.attrs)
    stages = stages if bias is None else [added(bias[:, None]), *stages]
    return conv(x, w, at, node.attrs.get("group", 1), stages)


def _product_step(nodes: Sequence[Node], product: Product, shape: tuple[int, ...]) -> Step:
    """A product whose result of ``shape`` is seen as rows: of a matrix, or of channels."""
    first, *tail = nodes
    inputs = list(first.inputs)
    others: list[int | None] = []
    for previous, node in zip(nodes, tail, strict=False):
        other = [n for n in node.inputs if n != previous.outputs[0]]
        others.append(len(inputs) if other else None)
        inputs += other
    is_conv = first.op == "Conv"

    def run(*values: Array) -> tuple[Array]:
        bias = values[2] if len(first.inputs) > 2 else None
        stages = []
        for node, place in zip(tail, others, strict=True):
            other = None if place is None else values[place]
            if other is not None and is_conv:
                other = _channels(other, shape)
            stages.append(_stage(node, other))
        return (product(first, values[0], values[1], bias, stages),)

    return Step(tuple(inputs), nodes[-1].outputs, run)


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
