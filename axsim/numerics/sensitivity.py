"""What each activation's rounding costs at a graph's output, estimated from one float32 run.

Rounding adds small noise, about as large in every element and of random sign, so noises of
different tensors add up in power. Followed from the output backwards:

* an operator hands the relative noise (noise power over signal power) of each operand on to its
  result: for a matrix product with weights because noise and signal grow alike, for a product of
  two because relative noises add;
* in a sum each operand's noise counts by its share of the sum's power;
* Softmax turns absolute noise of its input into relative noise of its result;
* where a tensor is cut, each part has its part of the noise.

A relative noise of e at the output costs a cosine of e / 2. Against what lifting really gains, the
estimate is low by a common factor of about two; it serves for ranking, and for proportions between
measured runs.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from axsim.graph.ir import Graph, Node
from axsim.graph.ops import OPERATORS
from axsim.kernels.array import Array
from axsim.kernels.qparams import QParams
from axsim.numerics.ranges import inherited, producers


class Sensitivity:
    """Shown every activation of a float32 run of ``graph`` by :meth:`watch`, tells :meth:`losses`.

    ``qparams``: of the quantised activations (:meth:`Calibration.qparams`).
    """

    def __init__(self, graph: Graph, qparams: Mapping[str, QParams]) -> None:
        self._graph = graph
        made = producers(graph)
        self._rounded = {
            name: q for name, q in qparams.items() if inherited(graph, made.get(name)) is None
        }
        self._power: dict[str, float] = {}
        self._size: dict[str, int] = {}
        self._noise: dict[str, float] = {}

    def watch(self, name: str, value: Array) -> None:
        """Take in a tensor's float32 values, once; integers and weights do not matter."""
        if value.dtype.kind != "f" or name in self._size:
            return
        if self._graph.tensors[name].kind == "weight":
            return
        self._power[name], self._size[name] = _power(value), value.size
        q = self._rounded.get(name)
        if q is not None:
            self._noise[name] = _power(_rounding(value, q))

    def losses(self) -> dict[str, float]:
        """The cosine that rounding each activation costs at the graph's output; none for those
        that keep the codes of another one."""
        gain = dict.fromkeys(self._power, 0.0)
        gain |= {name: 1.0 for name in self._graph.outputs if name in gain}
        for node in reversed(self._graph.nodes):
            for name in set(node.inputs) & gain.keys():
                gain[name] += sum(
                    gain[result] * self._passed(node, name, result)
                    for result in node.outputs
                    if gain.get(result) and self._power[result]
                )
        return {
            name: gain[name] * noise / self._power[name] / 2
            for name, noise in self._noise.items()
            if self._power[name]
        }

    def _passed(self, node: Node, operand: str, result: str) -> float:
        """Relative noise of ``result`` for a relative noise of 1 in ``operand``."""
        ratio = self._power[operand] / self._power[result]
        operator = OPERATORS[node.op]
        if operator.role == "view":
            return ratio * self._size[result] / self._size[operand]
        if operator.noise == "absolute":
            return ratio
        if operator.noise == "exponential":
            return self._power[operand] / self._size[operand]
        return 1.0


def _rounding(value: Array, q: QParams) -> Array:
    """What rounding to codes adds; values beyond the range are cut off at any width."""
    low, high = q.dequantise(np.array([q.low, q.high]))
    rounding: Array = q.dequantise(q.quantise(value)) - np.clip(value, low, high)
    return rounding


def _power(value: Array) -> float:
    flat = value.reshape(-1)
    return float(np.dot(flat, flat))
