"""The float32 runs that deployed numbers are compared with, several of them in step.

Making or reading a weight costs about as much as using it on one image. So the runs of all variants
advance node by node (tower) and layer by layer (decoder) together, and each tensor is made once:
for every reference, for the calibration, and for the quantised copy that the deployed runs use.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from axsim.compiler.partition import Deployment, Subgraph
from axsim.graph.ir import Graph
from axsim.graph.ops import OPERATORS
from axsim.kernels.array import Array
from axsim.models.config import DecoderConfig
from axsim.models.decoder import decoder_layer_graph, post_graph
from axsim.models.weights import Weights, layer_tensor, post_tensor, vision_weights
from axsim.numerics.executor import Executor
from axsim.numerics.steps import Arithmetic
from axsim.runs.devices import Tick, macs_by_node
from axsim.system.request import Pass

Prepare = Callable[[str], object]
"""Called with the name of each matrix while it is at hand: makes the quantised copy."""


class Recent:
    """``weights``, of which the ``keep`` tensors asked for last are remembered."""

    def __init__(self, weights: Weights, keep: int = 16) -> None:
        self._weights = weights
        self._keep = keep
        self._known: OrderedDict[str, Array] = OrderedDict()

    def __call__(self, name: str) -> Array:
        """The tensor as float32; KeyError when the model has none of that name."""
        if name in self._known:
            self._known.move_to_end(name)
        else:
            while len(self._known) >= self._keep:
                self._known.popitem(last=False)
            self._known[name] = self._weights(name)
        return self._known[name]

    def rows(self, name: str, indices: Sequence[int]) -> Array:
        """Some rows of a matrix."""
        return self._weights.rows(name, indices)

    def packed(self, name: str) -> tuple[Array, Array, int] | None:
        """A matrix that comes as 4-bit codes, see :class:`axsim.models.checkpoint.Checkpoint`."""
        found = getattr(self._weights, "packed", None)
        held: tuple[Array, Array, int] | None = None if found is None else found(name)
        return held

    def forget(self) -> None:
        """Let go of what is remembered."""
        self._known.clear()


@dataclass(frozen=True)
class Picture:
    """One float32 run of the vision part: ``image`` [1, S, S, 3] u8; ``arithmetic`` may observe."""

    deployment: Deployment
    image: Array
    arithmetic: Arithmetic | None = None


def see(
    pictures: Sequence[Picture], weights: Weights, tick: Tick, prepare: Prepare | None
) -> list[Array]:
    """Image tokens [1 + deepstack layers, tokens, hidden] of pictures of one architecture."""
    runs: list[tuple[Executor, Subgraph, dict[str, int]]] = []
    for picture in pictures:
        deployment, part = picture.deployment, picture.deployment.vision
        vision = deployment.model.vision
        assert part is not None
        assert vision is not None
        get = vision_weights(weights, vision, deployment.workload.image_size)
        executor = Executor(part.graph, get, picture.arithmetic)
        executor.feed({"input": picture.image})
        runs.append((executor, part, macs_by_node(part)))
    if not runs:
        return []
    first = runs[0][1].graph
    for index, node in enumerate(first.nodes):
        for executor, part, macs in runs:
            name = part.graph.nodes[index].name
            executor.execute(name)
            if macs[name]:
                tick(macs[name], "float32")
        is_matrix = OPERATORS[node.op].role == "matrix"
        if prepare is not None and is_matrix and first.tensors[node.inputs[1]].kind == "weight":
            prepare(node.inputs[1])
    return [
        np.concatenate([executor.fetch(name) for name in part.graph.outputs])
        for executor, part, _ in runs
    ]


def read(
    rides: Sequence[Iterator[tuple[Pass, int]]], cfg: DecoderConfig, prepare: Prepare | None
) -> None:
    """Take requests on decoders ``cfg`` to their ends, their prefills layer by layer in step."""
    layers = [(layer for work, layer in ride if work.stage == "prefill") for ride in rides]
    layer_graph, post = decoder_layer_graph(cfg, 1, 0), post_graph(cfg)
    for layer, *_ in zip(*layers, strict=True):
        if prepare is not None:
            for name in _matrices(layer_graph):
                prepare(layer_tensor(layer, name))
    if prepare is not None:
        for name in _matrices(post):
            prepare(post_tensor(cfg, name))


def _matrices(graph: Graph) -> list[str]:
    return [tensor.name for tensor in graph.weights() if len(tensor.shape) == 2]
