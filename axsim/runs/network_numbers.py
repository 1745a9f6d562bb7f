"""What the kernels compute of a network from an ONNX file, beside float32.

Weights are the file's own; where it has none, seeded ones.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from axsim.compiler.partition import Deployment
from axsim.graph.ir import Graph
from axsim.kernels.array import Array
from axsim.network.network import Network
from axsim.network.random_weights import seeded
from axsim.network.sound_values import check_values
from axsim.numerics.comparison import cosine
from axsim.numerics.executor import Executor
from axsim.numerics.integer_graph import Integer
from axsim.numerics.observers import OBSERVERS
from axsim.numerics.ranges import Calibration
from axsim.numerics.steps import Arithmetic
from axsim.numerics.weight_only import WeightOnly
from axsim.runs.computed import Numerics
from axsim.runs.devices import macs_by_node
from axsim.runs.network_inputs import Fed, Inputs
from axsim.runs.sources import SYNTHETIC, Sources

Tick = Callable[[int, str], None]


def network_numbers(
    deployment: Deployment, inputs: Fed, tick: Tick, sources: Sources = SYNTHETIC
) -> Numerics:
    """The network in the arithmetic of the build and in float32.

    ``tick`` is told the multiply-accumulates of each node and the arithmetic's name.
    """
    subgraph = deployment.graph
    assert subgraph is not None
    network, stripped = weighted(deployment)
    build = deployment.workload.build
    graph, macs = subgraph.graph, macs_by_node(subgraph)

    def run(values: Inputs, arithmetic: Arithmetic | None, kind: str) -> dict[str, Array]:
        return _run(graph, network, values, arithmetic, macs, kind, tick)

    quantised = build.vision_dtype != "bf16"
    calibration = Calibration(OBSERVERS[observer_of(deployment, sources)])
    # What is compared may calibrate as well: then one float32 run does for both.
    same = inputs.calibration is inputs.compared
    if quantised and not same:
        for values in inputs.calibration:
            run(values, calibration, "float32")
    watch = calibration if quantised and same else None
    references = [run(values, watch, "float32") for values in inputs.compared]
    deployed = Integer(calibration.qparams(graph)) if quantised else WeightOnly()
    worst = min(
        cosine(reference[name], found[name])
        for reference, found in (
            (reference, run(values, deployed, build.vision_dtype))
            for reference, values in zip(references, inputs.compared, strict=True)
        )
        for name in graph.outputs
    )
    plain = Numerics(stripped, None, None, (), None, False, None, worst)
    return replace(plain, calibrated_on=inputs.calibrated_on) if quantised else plain


def weighted(deployment: Deployment) -> tuple[Network, bool]:
    """The deployed network, and whether its weights are seeded because the file has none.

    Raises:
        InputError: some of its weights are infinite or no numbers.
    """
    network, workload = deployment.network, deployment.workload
    assert network is not None
    if network.is_stripped:
        return seeded(network, workload.request.seed), True
    check_values(network, str(workload.model.onnx), workload.build.vision_dtype != "bf16")
    return network, False


def observer_of(deployment: Deployment, sources: Sources) -> str:
    """How ranges are found, a name of :data:`OBSERVERS`: as asked for, or by the build's key."""
    if sources.observer != SYNTHETIC.observer:
        return sources.observer
    key = deployment.workload.build.observer
    return next(name for name in OBSERVERS if name.lower() == key)


def _run(
    graph: Graph,
    network: Network,
    inputs: Inputs,
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
