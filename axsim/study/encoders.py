"""What a build quantises the activations of: a vision part on pictures, or a whole network."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from axsim.compiler.partition import Deployment
from axsim.graph.ir import Graph
from axsim.kernels.array import Array
from axsim.models.vision import vision_graph
from axsim.models.weights import Weights, vision_weights
from axsim.numerics.formats import VisionDtype, VisionScheme, assign, assign_network
from axsim.runs.network_inputs import Fed, Inputs, fed
from axsim.runs.network_numbers import weighted
from axsim.runs.run_pictures import Pixels


class Assign(Protocol):
    """Gives a graph its storage dtypes."""

    def __call__(
        self, graph: Graph, dtype: VisionDtype, overrides: Mapping[str, VisionDtype], /
    ) -> Graph:
        """See :func:`axsim.numerics.formats.assign`."""


@dataclass(frozen=True)
class Encoder:
    """``kind`` is what people call it, ``bare`` its graph without storage dtypes, which ``assign``
    gives it; ranges are taken from the inputs of ``calibration``, and those of ``compared`` are
    compared."""

    kind: str
    bare: Callable[[], Graph]
    assign: Assign
    weights: Callable[[str], Array]
    calibration: Sequence[Inputs]
    compared: Sequence[Inputs]


def encoder_of(
    deployment: Deployment, weights: Weights | None, given: Pixels | Fed | None
) -> Encoder | None:
    """That of a deployment, on ``given`` pictures or seeded ones; None for a decoder alone.

    ``weights`` are those of the checkpoint; a network from an ONNX file has its own.
    """
    network = deployment.network
    if network is not None:
        inputs = given if isinstance(given, Fed) else fed(deployment)
        filled, _ = weighted(deployment)
        return Encoder(
            "network",
            lambda: network.graph,
            assign_network,
            filled.weight,
            inputs.calibration,
            inputs.compared,
        )
    model, size = deployment.model, deployment.workload.image_size
    vision = model.vision
    if vision is None:
        return None
    assert weights is not None
    pixels = given if isinstance(given, Pixels) else Pixels.seeded(deployment)
    return Encoder(
        "vision",
        lambda: vision_graph(vision, size, model.projector),
        lambda graph, dtype, overrides: assign(graph, VisionScheme(dtype, overrides)),
        vision_weights(weights, vision, size),
        [{"input": each} for each in pixels.calibration],
        [{"input": each} for each in pixels.compared],
    )
