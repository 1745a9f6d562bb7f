"""Devices of the host loop: the simulated NPU with the deployed arithmetic, and float32."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from axsim.compiler.partition import Deployment, Subgraph
from axsim.kernels.array import Array
from axsim.machine.npu import Npu
from axsim.models.config import DecoderConfig, VisionConfig
from axsim.models.weights import (
    EMBED_TOKENS,
    Weights,
    layer_weights,
    post_weights,
    vision_weights,
)
from axsim.numerics.executor import Executor
from axsim.numerics.steps import Arithmetic

Tick = Callable[[int, str], None]
"""Told the multiply-accumulates of each node that has run, and the arithmetic's name."""


def no_tick(macs: int, kind: str) -> None:
    """Nobody watches."""


class SimulatedNpu:
    """Executes subgraphs on the machine: a node's kernel runs when its last tile retires.

    ``vision`` and ``decoder`` are the arithmetics of the two parts; ``stored`` gives the decoder's
    weights as the NPU stores them, ``weights`` all of them in float32.
    """

    def __init__(
        self,
        deployment: Deployment,
        weights: Weights,
        stored: Callable[[str], object],
        vision: Arithmetic | None,
        decoder: Arithmetic | None,
        npu: Npu | None = None,
        tick: Tick = no_tick,
    ) -> None:
        self._deployment = deployment
        self._weights = weights
        self._stored = stored
        self._arithmetic = {"vision": vision, "decoder": decoder}
        self._npu = npu or Npu()
        self._tick = tick
        self._executors: dict[tuple[int, int], Executor] = {}

    def vision(self, subgraph: Subgraph, image: Array) -> Array:
        """One image [1, S, S, 3] u8 to image tokens [1, tokens, hidden]."""
        config = _vision(self._deployment)
        get = vision_weights(self._weights, config, self._deployment.workload.image_size)
        executor = Executor(subgraph.graph, get, self._arithmetic["vision"])
        out = self._execute(subgraph, executor, {"input": image}, "vision")
        return out["output"]

    def layer(
        self, subgraph: Subgraph, layer: int, inputs: Mapping[str, Array]
    ) -> Mapping[str, Array]:
        """See :class:`axsim.runs.host.Device`."""
        key = (id(subgraph), layer)
        if key not in self._executors:
            get = layer_weights(self._stored, layer)  # type: ignore[arg-type]
            self._executors[key] = Executor(subgraph.graph, get, self._arithmetic["decoder"])
        kind = "prefill" if inputs["input"].shape[1] > 1 else "decode"
        return self._execute(subgraph, self._executors[key], inputs, kind)

    def post(self, subgraph: Subgraph, hidden: Array) -> Array:
        """See :class:`axsim.runs.host.Device`."""
        get = post_weights(self._stored, _decoder(self._deployment))  # type: ignore[arg-type]
        key = (id(subgraph), -1)
        if key not in self._executors:
            self._executors[key] = Executor(subgraph.graph, get, self._arithmetic["decoder"])
        out = self._execute(subgraph, self._executors[key], {"input": hidden}, "decode")
        return out["output"].reshape(-1)

    def embed(self, tokens: list[int]) -> Array:
        """See :class:`axsim.runs.host.Device`."""
        return self._weights.rows(EMBED_TOKENS, tokens)

    def _execute(
        self, subgraph: Subgraph, executor: Executor, inputs: Mapping[str, Array], kind: str
    ) -> dict[str, Array]:
        executor.feed(inputs)
        macs = macs_by_node(subgraph)

        def retire(node: str) -> None:
            executor.execute(node)
            if macs[node]:
                self._tick(macs[node], kind)

        self._npu.run(subgraph.program, retire)
        return {name: executor.fetch(name) for name in subgraph.graph.outputs}


class Float32Device:
    """The decoder's reference: the same subgraphs, float32 everywhere, nothing timed."""

    def __init__(self, deployment: Deployment, weights: Weights, tick: Tick = no_tick) -> None:
        self._deployment = deployment
        self._weights = weights
        self._tick = tick

    def layer(
        self, subgraph: Subgraph, layer: int, inputs: Mapping[str, Array]
    ) -> Mapping[str, Array]:
        """See :class:`axsim.runs.host.Device`."""
        return self._execute(subgraph, layer_weights(self._weights, layer), inputs)

    def post(self, subgraph: Subgraph, hidden: Array) -> Array:
        """See :class:`axsim.runs.host.Device`."""
        get = post_weights(self._weights, _decoder(self._deployment))
        return self._execute(subgraph, get, {"input": hidden})["output"].reshape(-1)

    def embed(self, tokens: list[int]) -> Array:
        """See :class:`axsim.runs.host.Device`."""
        return self._weights.rows(EMBED_TOKENS, tokens)

    def _execute(
        self,
        subgraph: Subgraph,
        weights: Callable[[str], Array],
        inputs: Mapping[str, Array],
    ) -> dict[str, Array]:
        executor = Executor(subgraph.graph, weights)
        executor.feed(inputs)
        macs = macs_by_node(subgraph)
        for node in subgraph.graph.nodes:
            executor.execute(node.name)
            if macs[node.name]:
                self._tick(macs[node.name], "float32")
        return {name: executor.fetch(name) for name in subgraph.graph.outputs}


def macs_by_node(subgraph: Subgraph) -> dict[str, int]:
    """Multiply-accumulates that are done when a node has retired (the whole step's, at its end)."""
    found = {node.name: 0 for node in subgraph.graph.nodes}
    program = subgraph.program
    for segment, steps in zip(program.segments, program.nodes, strict=True):
        for step, nodes in zip(segment.steps, steps, strict=True):
            if nodes:
                found[nodes[-1]] += step.macs
    return found


def _vision(deployment: Deployment) -> VisionConfig:
    assert deployment.model.vision is not None
    return deployment.model.vision


def _decoder(deployment: Deployment) -> DecoderConfig:
    assert deployment.model.decoder is not None
    return deployment.model.decoder
