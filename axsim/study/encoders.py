"""What a build quantises the activations of: a vision part on pictures, or a whole network."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from axsim.compiler.partition import Deployment
from axsim.graph.ir import Graph
from axsim.inputs.seeded import seeded_image
from axsim.kernels.array import Array
from axsim.models.vision import vision_graph
from axsim.models.weights import Weights, vision_weights
from axsim.numerics.formats import VisionDtype, VisionScheme, assign, assign_network
from axsim.runs.network_inputs import Fed, Inputs, fed
from axsim.runs.network_numbers import weighted


@dataclass(frozen=True)
class Pixels:
    """``calibration``: pictures [1, S, S, 3] u8 that ranges are taken from; ``request``: those that
    are compared."""

    calibration: Sequence[Array]
    request: Sequence[Array]

    @classmethod
    def seeded(cls, deployment: Deployment) -> Pixels:
        """The pictures of ``axsim run`` without a file."""
        workload = deployment.workload
        size, seed = workload.image_size, workload.request.seed
        request = [seeded_image(size, seed, f"image {i}") for i in range(max(workload.images, 1))]
        return cls([seeded_image(size, seed, "calibration 0")], request)

    @classmethod
    def split(cls, pictures: Sequence[Array], images: int) -> Pixels:
        """The first ``images`` pictures are compared, the ranges taken from the others; when there
        are no others, from the same."""
        count = max(images, 1)
        request = [pictures[i % len(pictures)] for i in range(count)]
        return cls(pictures[count:] or pictures, request)


class Assign(Protocol):
    """Gives a graph its storage dtypes."""

    def __call__(
        self, graph: Graph, dtype: VisionDtype, overrides: Mapping[str, VisionDtype], /
    ) -> Graph:
        """See :func:`axsim.numerics.formats.assign`."""


@dataclass(frozen=True)
class Encoder:
    """``kind`` is what people call it, ``bare`` its graph without storage dtypes, which ``assign``
    gives it; ranges are taken from the inputs of ``calibration``, and those of ``request`` are
    compared."""

    kind: str
    bare: Callable[[], Graph]
    assign: Assign
    weights: Callable[[str], Array]
    calibration: Sequence[Inputs]
    request: Sequence[Inputs]


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
            inputs.request,
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
        [{"input": each} for each in pixels.request],
    )
