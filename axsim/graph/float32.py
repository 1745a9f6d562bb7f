"""Float32 arithmetic: the reference that quantised runs are compared with."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np

import axsim.graph.ops  # noqa: F401  (fills OPERATORS)
from axsim.graph.array import Array
from axsim.graph.executor import Step, Weights, single
from axsim.graph.ir import Graph, Tensor
from axsim.graph.operator import OPERATORS


class Float32:
    """Every floating tensor in float32, whatever its storage dtype; integers stay integers."""

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
        """One step for each node."""
        return {node.name: single(node, OPERATORS[node.op].kernel) for node in graph.nodes}
