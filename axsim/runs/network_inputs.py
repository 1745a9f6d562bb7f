"""What networks from ONNX files are fed: pictures, or seeded numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from axsim.compiler.partition import Deployment
from axsim.errors import InputError
from axsim.graph.ir import Graph, Tensor
from axsim.inputs.images import folder_pictures, open_picture
from axsim.inputs.network_pictures import is_picture, picture_input
from axsim.kernels.array import Array
from axsim.models.synthetic import gaussian
from axsim.runs.run_pictures import split
from axsim.runs.sources import SYNTHETIC, Sources
from axsim.spec.preprocess import EVERY, Preprocess
from axsim.system.network_names import check_names

Inputs = Mapping[str, Array]
"""One value for each input of a graph."""


@dataclass(frozen=True)
class Fed:
    """``compared``: what the deployed arithmetic is compared on; ``calibration``: what ranges are
    taken from, and ``calibrated_on`` says in words what that is."""

    compared: Sequence[Inputs]
    calibration: Sequence[Inputs]
    calibrated_on: str


def fed(deployment: Deployment, sources: Sources = SYNTHETIC) -> Fed:
    """The inputs of a deployed network: the pictures of ``sources``, with ranges from its folder;
    of a folder alone some are held out to be compared, and the ranges come from the others; without
    either both are seeded.

    Raises:
        InputError: a picture cannot be read, or none fits the network's inputs.
    """
    pictures, folder = [Path(each) for each in sources.pictures], sources.images
    files = [] if folder is None else folder_pictures(folder)
    if files:
        kept, held = (files, pictures) if pictures else split(files, 1)
        compared, calibration = (pictures_of(deployment, each) for each in (held, kept))
        count = len(kept)
        words = f"{count} picture{'s' if count > 1 else ''} of {Path(str(folder)).name}"
        return Fed(compared, calibration, words)
    if pictures:
        compared = pictures_of(deployment, pictures)
        words = "the compared picture" if len(compared) == 1 else "the compared pictures"
        return Fed(compared, compared, words)
    check_names(deployment)
    own, other = (seeded_inputs(deployment, name) for name in ("input", "calibration"))
    return Fed([own], [other], "a seeded input, not the compared one")


def check_inputs(deployment: Deployment, sources: Sources) -> None:
    """Raises InputError as :func:`fed`, before a long run: of the first pictures alone."""
    check_names(deployment)
    files = [] if sources.images is None else folder_pictures(sources.images)
    pictures_of(deployment, [*map(Path, sources.pictures), *files][:1])


def pictures_of(deployment: Deployment, files: Sequence[Path]) -> list[Inputs]:
    """Each picture as the network takes it; inputs that are no pictures are seeded.

    Raises:
        InputError: as :func:`fed`.
    """
    graph, build = _graph(deployment), deployment.workload.build
    shapes = {name: graph.tensors[name].shape for name in graph.inputs}
    takers = [name for name, shape in shapes.items() if is_picture(shape)]
    if files and not takers:
        shown = ", ".join(f"{name} {'x'.join(map(str, shape))}" for name, shape in shapes.items())
        raise InputError(f"{graph.name} takes no picture: its inputs are {shown}")
    check_names(deployment)
    every = build.preprocess.get(EVERY, Preprocess())
    rest = {n: v for n, v in seeded_inputs(deployment, "input").items() if n not in takers}
    result: list[Inputs] = []
    for file in files:
        picture = open_picture(file)
        own = {
            name: picture_input(picture, shapes[name], build.preprocess.get(name, every), name)
            for name in takers
        }
        result.append({**rest, **own})
    return result


def seeded_inputs(deployment: Deployment, name: str) -> dict[str, Array]:
    """Seeded values for every input of a deployed network; ``name`` tells several apart."""
    return seeded_values(_graph(deployment), deployment.workload.request.seed, name)


def seeded_values(graph: Graph, seed: int, name: str) -> dict[str, Array]:
    """Seeded values for every input of ``graph``, which has no storage dtypes: integers are 0 or 1,
    bytes grey levels, other numbers normal, as pictures are that mean and deviation were taken
    from."""
    return {each: _seeded(graph.tensors[each], seed, f"{name} {each}") for each in graph.inputs}


def _seeded(tensor: Tensor, seed: int, name: str) -> Array:
    numbers = gaussian(seed, name, tensor.shape)
    if tensor.dtype == "u8":
        levels: Array = np.clip(128 + 48 * numbers, 0, 255).astype(np.uint8)
        return levels
    if tensor.dtype in ("s64", "s32", "bool"):
        return (numbers > 0).astype(np.int64)
    return numbers


def _graph(deployment: Deployment) -> Graph:
    """The network as the file has it, without storage dtypes."""
    assert deployment.network is not None
    return deployment.network.graph
