"""SmoothQuant: move outlier channels from activations into the weights that follow.

For a LayerNormalization whose output only feeds projections, channel j is divided by
``s_j = max|x_j|^alpha / max|w_j|^(1 - alpha)`` in the norm's scale and bias, and the column j of
each projection is multiplied by it: the same function in float32, with activations that U8 covers
better. The vendor's ``smooth_quant_strength`` is alpha, 0.6 by default (config.md).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from axsim.graph.ir import Graph, Node
from axsim.graph.ops import OPERATORS
from axsim.kernels.array import Array
from axsim.numerics.float32 import Float32
from axsim.numerics.steps import Step

STRENGTH = 0.6


@dataclass(frozen=True, slots=True)
class Pair:
    """A norm with its weight names, its output tensor and the projections it feeds."""

    output: str
    affine: tuple[str, ...]
    projections: tuple[str, ...]


def smoothing_pairs(graph: Graph) -> list[Pair]:
    """Every norm of ``graph`` whose output feeds nothing but projections with weights."""
    readers: dict[str, list[Node]] = defaultdict(list)
    for node in graph.nodes:
        for name in node.inputs:
            readers[name].append(node)
    pairs = []
    for node in graph.nodes:
        if OPERATORS[node.op].role != "norm":
            continue
        users = readers[node.outputs[0]]
        if users and all(_projects(graph, user, node.outputs[0]) for user in users):
            matrices = tuple(user.inputs[1] for user in users)
            pairs.append(Pair(node.outputs[0], node.inputs[1:], matrices))
    return pairs


def _projects(graph: Graph, node: Node, x: str) -> bool:
    weight = len(node.inputs) > 1 and graph.tensors[node.inputs[1]].kind == "weight"
    return node.op == "Gemm" and weight and node.inputs[0] == x and bool(node.attrs.get("transB"))


class ChannelMaxima(Float32):
    """Float32 arithmetic that notes the largest magnitude of each channel of the norms' outputs.

    ``maxima``: output tensor name to float32 [channels], over all runs so far.
    """

    def __init__(self) -> None:
        super().__init__()
        self.maxima: dict[str, Array] = {}

    def steps(self, graph: Graph, keep: Collection[str]) -> Mapping[str, Step | None]:
        """The float32 steps, of which norms are observed."""
        outputs = {pair.output for pair in smoothing_pairs(graph)}
        steps = super().steps(graph, {*keep, *outputs})
        return {
            name: self._observed(step) if step and outputs & {*step.outputs} else step
            for name, step in steps.items()
        }

    def _observed(self, step: Step) -> Step:
        def run(*values: Array) -> Sequence[Array]:
            results = step.run(*values)
            x = results[0]
            largest = np.abs(x).max(axis=tuple(range(x.ndim - 1)))
            before = self.maxima.get(step.outputs[0], largest)
            self.maxima[step.outputs[0]] = np.maximum(before, largest)
            return results

        return Step(step.inputs, step.outputs, run)


class SmoothedWeights:
    """The weights of one graph with SmoothQuant folded in; call it like the original.

    ``maxima``: from :class:`ChannelMaxima`. Norms without an entry stay as they are. Activations
    must be calibrated anew with these weights.
    """

    def __init__(
        self,
        graph: Graph,
        weights: Callable[[str], Array],
        maxima: Mapping[str, Array],
        strength: float = STRENGTH,
    ) -> None:
        if not 0 <= strength <= 1:
            raise ValueError(f"SmoothQuant's strength lies between 0 and 1, not {strength}")
        self._weights = weights
        self._factors: dict[str, Array] = {}
        for pair in smoothing_pairs(graph):
            if pair.output not in maxima:
                continue
            largest = np.maximum.reduce([np.abs(weights(n)).max(axis=0) for n in pair.projections])
            x = np.maximum(maxima[pair.output], 1e-5).astype(np.float64)
            w = np.maximum(largest, 1e-5).astype(np.float64)
            s = (x**strength / w ** (1 - strength)).astype(np.float32)
            self._factors |= dict.fromkeys(pair.affine, np.float32(1) / s)
            self._factors |= dict.fromkeys(pair.projections, s)

    def __call__(self, name: str) -> Array:
        """The tensor ``name``, smoothed where it belongs to a pair."""
        value = self._weights(name)
        factor = self._factors.get(name)
        return value if factor is None else value * factor
