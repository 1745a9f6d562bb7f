"""What a network consists of, in words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from math import prod

from axsim.graph.ops import OPERATORS
from axsim.network.network import Network


def summary(network: Network) -> Iterator[tuple[str, str, str]]:
    """Name, value and meaning of each line: inputs, outputs, operators, parameters, arithmetic."""
    graph = network.graph
    for kind, names in (("input", graph.inputs), ("output", graph.outputs)):
        for name in names:
            tensor = graph.tensors[name]
            shape = "x".join(map(str, tensor.shape)) or "a number"
            yield f"{kind} {name}", f"{shape} {tensor.dtype}", ""
    counts = Counter(node.op for node in graph.nodes).most_common()
    yield "operators", str(len(graph.nodes)), ", ".join(f"{n} {op}" for op, n in counts)
    stored = network.stored().values()
    note = "the file has their shapes alone" if network.is_stripped else "in the file"
    yield "parameters", f"{sum(prod(s.shape) for s in stored) / 1e6:.3g} M", note
    macs = sum(
        OPERATORS[n.op].work(graph.shapes(n.inputs), graph.shapes(n.outputs), n.attrs).macs
        for n in graph.nodes
    )
    yield "arithmetic", f"{macs / 1e9:.3g} G", "multiply-accumulates of one run"
