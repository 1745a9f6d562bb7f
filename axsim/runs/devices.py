"""Who computes the subgraphs of a deployment: the arithmetic of the build, or float32."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from axsim.compiler.partition import Deployment, Subgraph
from axsim.kernels.array import Array
from axsim.models.decoder import of_layer
from axsim.models.weights import (
    Weights,
    embedded,
    layer_weights,
    placed,
    post_weights,
    vision_weights,
)
from axsim.numerics.executor import Executor
from axsim.numerics.steps import Arithmetic

Tick = Callable[[int, str], None]
"""Told the multiply-accumulates of each node that has run, and the arithmetic's name."""


def no_tick(macs: int, kind: str) -> None:
    """Nobody watches."""


class Device:
    """Computes subgraphs, a whole invocation at a time.

    ``vision`` and ``decoder`` are the arithmetics of the two parts, float32 where None; ``stored``
    gives the decoder's weights in the form that its arithmetic wants, ``weights`` all of them in
    float32. ``tick`` is told ``vision``, ``prefill``, ``decode`` or ``float32``.
    """

    def __init__(
        self,
        deployment: Deployment,
        weights: Weights,
        stored: Callable[[str], object] | None = None,
        vision: Arithmetic | None = None,
        decoder: Arithmetic | None = None,
        tick: Tick = no_tick,
    ) -> None:
        self._deployment = deployment
        self._weights = weights
        self._stored = weights if stored is None else stored
        self._vision, self._decoder = vision, decoder
        self._tick = tick
        self._executors: dict[tuple[int, int], Executor] = {}
        self._known: dict[int, Subgraph] = {}  # held, so that its identity stays its own

    def vision(self, subgraph: Subgraph, image: Array) -> Array:
        """One image [1, S, S, 3] u8 to image tokens [1 + deepstack layers, tokens, hidden]."""
        config = self._deployment.model.vision
        assert config is not None
        get = vision_weights(self._weights, config, self._deployment.workload.image_size)
        executor = Executor(subgraph.graph, get, self._vision)
        out = self._execute(subgraph, executor, {"input": image}, "vision")
        return np.concatenate(list(out.values()))

    def layer(
        self, subgraph: Subgraph, layer: int, inputs: Mapping[str, Array]
    ) -> dict[str, Array]:
        """See :class:`axsim.runs.host.Decoder`."""
        key = (self._identity(subgraph), layer)
        if key not in self._executors:
            get = layer_weights(self._stored, layer)  # type: ignore[arg-type]
            config = self._deployment.model.decoder
            assert config is not None
            graph = of_layer(subgraph.graph, config, layer)
            self._executors[key] = Executor(graph, get, self._decoder)
        kind = "prefill" if inputs["input"].shape[1] > 1 else "decode"
        return self._execute(subgraph, self._executors[key], inputs, kind)

    def post(self, subgraph: Subgraph, hidden: Array) -> Array:
        """See :class:`axsim.runs.host.Decoder`."""
        config = self._deployment.model.decoder
        assert config is not None
        key = (self._identity(subgraph), -1)
        if key not in self._executors:
            get = post_weights(self._stored, config)  # type: ignore[arg-type]
            self._executors[key] = Executor(subgraph.graph, get, self._decoder)
        out = self._execute(subgraph, self._executors[key], {"input": hidden}, "decode")
        return out["output"].reshape(-1)

    def embed(self, tokens: list[int]) -> Array:
        """See :class:`axsim.runs.host.Decoder`."""
        config = self._deployment.model.decoder
        assert config is not None
        return embedded(self._weights, config, tokens)

    def placed(self, rows: Array, start: int) -> Array:
        """See :class:`axsim.runs.host.Decoder`."""
        config = self._deployment.model.decoder
        assert config is not None
        return placed(self._weights, config, rows, start)

    def _identity(self, subgraph: Subgraph) -> int:
        return id(self._known.setdefault(id(subgraph), subgraph))

    def _execute(
        self, subgraph: Subgraph, executor: Executor, inputs: Mapping[str, Array], kind: str
    ) -> dict[str, Array]:
        arithmetic = self._vision if kind == "vision" else self._decoder
        macs = macs_by_node(subgraph)
        executor.feed(inputs)
        for node in subgraph.graph.nodes:
            executor.execute(node.name)
            if macs[node.name]:
                self._tick(macs[node.name], "float32" if arithmetic is None else kind)
        return {name: executor.fetch(name) for name in subgraph.graph.outputs}


def macs_by_node(subgraph: Subgraph) -> dict[str, int]:
    """Multiply-accumulates that are done when a node has run (the whole step's, at its end)."""
    found = {node.name: 0 for node in subgraph.graph.nodes}
    program = subgraph.program
    for segment, steps in zip(program.segments, program.nodes, strict=True):
        for step, nodes in zip(segment.steps, steps, strict=True):
            if nodes:
                found[nodes[-1]] += step.macs
    return found
