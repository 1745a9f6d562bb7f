"""Limits that requantisation applies for nothing: a Relu or Clip behind the operator it limits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection

from axsim.graph.ir import Graph
from axsim.graph.ops import OPERATORS


def absorbed(graph: Graph, keep: Collection[str] = ()) -> dict[str, str]:
    """For each tensor that only a limit reads, what the limit makes of it.

    Codes of the result saturate at its limits, so whoever makes the tensor may as well make the
    result: the first takes the second's quantisation parameters, and the limit changes no code.
    Tensors of ``keep`` and graph outputs are somebody else's to see.
    """
    readers = Counter(name for node in graph.nodes for name in node.inputs)
    computed = {
        name
        for node in graph.nodes
        if OPERATORS[node.op].role in ("matrix", "elementwise", "norm")
        for name in node.outputs
    }
    closed = {*keep, *graph.outputs}
    return {
        node.inputs[0]: node.outputs[0]
        for node in graph.nodes
        if OPERATORS[node.op].limits is not None
        and node.inputs[0] in computed
        and node.inputs[0] not in closed
        and readers[node.inputs[0]] == 1
    }
