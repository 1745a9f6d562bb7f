"""What the kernels compute of a network from an ONNX file, beside float32.

Inputs are seeded: integers are 0 or 1, other numbers normal, as pictures are that mean and
deviation were taken from. Weights are the file's own; where it has none, seeded ones.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from axsim.compiler.partition import Deployment
from axsim.graph.ir import Graph
from axsim.kernels.array import Array
from axsim.models.synthetic import gaussian
from axsim.network.network import Network
from axsim.network.random_weights import seeded
from axsim.numerics.comparison import cosine
from axsim.numerics.executor import Executor
from axsim.numerics.integer_graph import Integer
from axsim.numerics.ranges import Calibration
from axsim.numerics.steps import Arithmetic
from axsim.numerics.weight_only import WeightOnly
from axsim.runs.computed import Numerics
from axsim.runs.devices import macs_by_node

if TYPE_CHECKING:
    from axsim.numerics.observers import Observer

Tick = Callable[[int, str], None]

CALIBRATED_ON = "a seeded input, not the compared one"


def network_numbers(
    deployment: Deployment, tick: Tick, observer: Callable[[], Observer]
) -> Numerics:
    """One input through the network in the arithmetic of the build and in float32; ``observer``
    makes what finds a tensor's range.

    ``tick`` is told the multiply-accumulates of each node and the arithmetic's name.
    """
    network, subgraph = deployment.network, deployment.graph
    assert network is not None
    assert subgraph is not None
    build, seed = deployment.workload.build, deployment.workload.request.seed
    stripped = network.is_stripped
    if stripped:
        network = seeded(network, seed)
    graph, macs = subgraph.graph, macs_by_node(subgraph)

    def run(name: str, arithmetic: Arithmetic | None, kind: str) -> dict[str, Array]:
        return _run(graph, network, seeded_inputs(graph, seed, name), arithmetic, macs, kind, tick)

    deployed: Arithmetic = WeightOnly()
    if build.vision_dtype != "bf16":
        calibration = Calibration(observer)
        run("calibration", calibration, "float32")
        deployed = Integer(calibration.qparams(graph))
    reference = run("input", None, "float32")
    found = run("input", deployed, build.vision_dtype)
    worst = min(cosine(reference[name], found[name]) for name in graph.outputs)
    quantised = None if build.vision_dtype == "bf16" else CALIBRATED_ON
    return Numerics(stripped, None, None, (), None, False, quantised, worst)


def seeded_inputs(graph: Graph, seed: int, name: str) -> dict[str, Array]:
    """Seeded values for every input of ``graph``."""
    values: dict[str, Array] = {}
    for each in graph.inputs:
        tensor = graph.tensors[each]
        numbers = gaussian(seed, f"{name} {each}", tensor.shape)
        integers = tensor.dtype in ("s64", "s32", "bool")
        values[each] = (numbers > 0).astype(np.int64) if integers else numbers
    return values


def _run(
    graph: Graph,
    network: Network,
    inputs: dict[str, Array],
    arithmetic: Arithmetic | None,
    macs: dict[str, int],
    kind: str,
    tick: Tick,
) -> dict[str, Array]:
    executor = Executor(graph, network.weight, arithmetic)
    executor.feed(inputs)
    for node in graph.nodes:
        executor.execute(node.name)
        if macs[node.name]:
            tick(macs[node.name], kind)
    return {name: executor.fetch(name) for name in graph.outputs}
