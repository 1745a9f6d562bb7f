"""Seeded weights for a network whose file has none: of the size that activations stay as they are.

A matrix has the variance 2 / inputs, which rectified linear units leave the variance of activations
alone with, over the number of branches that are summed behind it. Scales of norms and layers are
near 1 or 0.1, variances positive.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from math import prod

import numpy as np

from axsim.graph.ir import Graph, Node
from axsim.kernels.array import Array
from axsim.models.synthetic import gaussian
from axsim.network.network import Derived, Network

_BIAS = 0.05
_NORMS = frozenset(
    {"BatchNormalization", "LayerNormalization", "InstanceNormalization", "GroupNormalization"}
)


def seeded(network: Network, seed: int = 0) -> Network:
    """``network`` with seeded values for every array that its file lacks.

    An array depends on the seed, its name, and what it is to the operators that read it. It is made
    once.
    """
    uses = _uses(network)
    lacking = {name: s for name, s in network.stored().items() if s.read is None}
    values: dict[str, Callable[[], Array]] = {}
    for name, stored in lacking.items():
        mean, deviation = _spread(network.graph, *uses[name])
        values[name] = cache(partial(_values, seed, name, stored.shape, mean, deviation))
    return network.with_values(values)


def _values(seed: int, name: str, shape: tuple[int, ...], mean: float, deviation: float) -> Array:
    array = gaussian(seed, name, shape)
    array *= np.float32(deviation)
    array += np.float32(mean)
    return array


def _uses(network: Network) -> dict[str, tuple[Node, int]]:
    """The first node that reads each stored array, perhaps through others, and as which input."""
    uses: dict[str, tuple[Node, int]] = {}

    def visit(name: str, node: Node, index: int) -> None:
        source = network.sources.get(name)
        if isinstance(source, Derived):
            for inner in source.inputs:
                visit(inner, node, index)
        elif source is not None:
            uses.setdefault(name, (node, index))

    for node in network.graph.nodes:
        for index, name in enumerate(node.inputs):
            visit(name, node, index)
    return uses


def _spread(graph: Graph, node: Node, index: int) -> tuple[float, float]:
    """Mean and standard deviation of the array that is input ``index`` of ``node``."""
    shape = graph.tensors[node.inputs[index]].shape
    branches = _branches(graph, node.outputs[0])
    if node.op in _NORMS:
        # scale, bias, mean, variance; a variance must be positive
        means, deviations = (0, 1 / branches**0.5, 0, 0, 1), (0, 0.05, _BIAS, _BIAS, 0.05)
        return means[index], deviations[index]
    if node.op in ("Conv", "ConvTranspose", "Gemm", "MatMul") and index < 2 and len(shape) > 1:
        inputs = {
            "Conv": prod(shape[1:]),
            "ConvTranspose": shape[0],
            "Gemm": shape[1] if node.attrs.get("transB") else shape[0],
            "MatMul": shape[-2],
        }[node.op]
        return 0.0, (2 / inputs / branches) ** 0.5
    if node.op == "Mul":
        return 0.1, 0.02  # the scale of a residual branch
    if node.op == "PRelu":
        return 0.25, 0.05
    return 0.0, _BIAS


def _branches(graph: Graph, name: str) -> int:
    """How many tensors are summed, by Add after Add, into the sum that ``name`` is part of."""
    makers = {n: node for node in graph.nodes for n in node.outputs}
    readers: dict[str, list[Node]] = {}
    for node in graph.nodes:
        for n in node.inputs:
            readers.setdefault(n, []).append(node)

    def leaves(n: str) -> int:
        node = makers.get(n)
        if node is None or node.op != "Add" or n not in reached:
            return 0 if graph.tensors[n].kind in ("weight", "constant") else 1
        return sum(leaves(inner) for inner in node.inputs)

    end, reached = name, set[str]()
    while len(readers.get(end, ())) == 1 and readers[end][0].op in ("Add", *_NORMS):
        end = readers[end][0].outputs[0]
        reached.add(end)
    return max(leaves(end), 1) if reached else 1
