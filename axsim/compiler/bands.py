"""Depth-first tiling: tensors that go from layer to layer in bands of rows.

A layer whose result at one place depends on a neighbourhood of its operand (a convolution, pooling,
a projection, anything element by element) can begin when the first rows are there. Layers chained
so keep a band of each tensor between them on chip and never write it to DRAM, however large it is.
Their weights have to stay, since each band needs them again. A band that is there is computed on
while the next one is made, so that CONV and TENG work side by side.

Bands are as fine as they have to be: of at least LEAST_ROWS rows of one image, and of a wide image
pieces of them, so that a larger image or a batch needs little more room than a small one. Windows
of attention are cut no finer than ``networks.bands`` of an image, since each is needed whole. Of
what is no map only one image of a batch is there at a time, so that a batch spills what its images
do.

Only networks from files are planned so: the rate of spilled tensors was fitted to towers without.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from math import gcd
from operator import itemgetter

from axsim.compiler.lower import Lowered, Operation
from axsim.compiler.placement import Placement, place
from axsim.spec.chip import NetworksSection

LEAST_ROWS = 4
"""Rows of the finest band: of fewer, the two rows that a window of 3 needs around it are more than
half. Inferred; without finer bands than six, AX630C's times of U-Net grow twelvefold from 128 to
256 pixels, and those of MobileNetV3 forty-fivefold from one image to eight."""
LEAST_COLUMNS = 64
"""Columns of the finest piece of a band that has no more rows to give: some times what an array
takes. Without pieces AX630C's U-Net takes twice as long on 1088 x 1920 pixels as on 1920 x 1088."""


def place_in_bands(
    lowered: Lowered,
    weights: Sequence[float],
    room: float,
    capacity_bytes: float,
    networks: NetworksSection,
) -> tuple[dict[str, float], Placement]:
    """The bands of :func:`bands` and where tensors are with them: by the coarsest with which the
    fewest bytes move between ``capacity_bytes`` for activations and DRAM."""
    maps, parts = _maps(lowered), _image_by_image(lowered, weights, room)
    found: list[tuple[float, dict[str, float], Placement]] = []
    finer = 1
    while not found or found[-1][0]:
        banded = bands(lowered, weights, room, networks, finer)
        if found and banded == found[-1][1]:
            break
        placement = place(lowered, capacity_bytes, banded, maps, parts)
        found.append((_moved(lowered, placement), banded, placement))
        finer *= 2
    _, banded, placement = min(found, key=itemgetter(0))
    return banded, placement


def bands(
    lowered: Lowered,
    weights: Sequence[float],
    room: float,
    networks: NetworksSection,
    finer: int = 1,
) -> dict[str, float]:
    """Bytes of a band of every tensor that can go in bands from its maker to its last reader.

    ``weights`` are the bytes of each operation's, of which a chain has to hold all in ``room``.
    Maps are cut ``finer`` times than ``networks`` says where they have the rows.
    """
    far = [not _is_near(lowered, operation) for operation in lowered.operations]
    maps, batch = _maps(lowered), _images(lowered)
    found: dict[str, float] = {}
    for name, span in _spans(lowered).items():
        if any(far[span]) or sum(weights[span]) > room:
            continue
        chain = lowered.operations[span]
        around = [each for each in chain if name not in each.writes and _has_halo(each)]
        tensor, count = lowered.graph.tensors[name], networks.bands
        if name in maps:
            images, _, height, width = tensor.shape
            most = images * (height // LEAST_ROWS) * max(1, width // LEAST_COLUMNS)
            count = max(count, min(count * finer, most))
        elif _is_of_images(lowered, name):
            count *= batch
        held = (1 + networks.halo * len(around)) / count
        found[name] = lowered.bytes(name) * min(1.0, held)
    return found


def _image_by_image(lowered: Lowered, weights: Sequence[float], room: float) -> dict[str, float]:
    """Bytes of one image of tensors of a batch that are no maps, from whose maker to their last
    reader all weights stay."""
    images, maps = _images(lowered), _maps(lowered)
    if images == 1:
        return {}
    return {
        name: lowered.bytes(name) / images
        for name, span in _spans(lowered).items()
        if name not in maps and sum(weights[span]) <= room and _is_of_images(lowered, name)
    }


def _moved(lowered: Lowered, placement: Placement) -> float:
    """Bytes that spilled tensors move."""
    return sum(
        placement.spilled.get(name, 0.0) * lowered.bytes(name)
        for operation in lowered.operations
        for name in (*operation.reads, *operation.writes)
    )


@lru_cache(maxsize=64)
def _spans(lowered: Lowered) -> Mapping[str, slice]:
    """The operations from the maker of each tensor to its last reader; of the graph's inputs, from
    the first."""
    found: dict[str, slice] = {}
    for index, operation in enumerate(lowered.operations):
        for name in (*operation.reads, *operation.writes):
            begin = found[name].start if name in found else index
            found[name] = slice(begin, index + 1)
    return found


@lru_cache(maxsize=64)
def _maps(lowered: Lowered) -> frozenset[str]:
    """The tensors [N, C, H, W] in whose time no attention is computed."""
    return frozenset(
        name
        for name, span in _spans(lowered).items()
        if len(lowered.graph.tensors[name].shape) == 4
        and not any(each.attention for each in lowered.operations[span])
    )


@lru_cache(maxsize=64)
def _images(lowered: Lowered) -> int:
    """Images of a batch: what the first dimensions of the graph's inputs have in common."""
    shapes = [lowered.graph.tensors[name].shape for name in lowered.graph.inputs]
    return gcd(*(shape[0] if shape else 1 for shape in shapes)) or 1


def _is_of_images(lowered: Lowered, name: str) -> bool:
    """Whether a tensor's first dimension holds the images of a batch."""
    shape = lowered.graph.tensors[name].shape
    return bool(shape) and shape[0] % _images(lowered) == 0


def _has_halo(operation: Operation) -> bool:
    """Whether it reads rows around its own: a convolution, or attention in windows."""
    matmul = operation.matmul
    return matmul is not None and (matmul.width > 0 or operation.attention)


def _is_near(lowered: Lowered, operation: Operation) -> bool:
    """Whether a row of the result needs nearby rows of the operands only: not where every row
    attends to all others, which are the products of two activations but for those in windows, whose
    number is the first dimension, for every image of a batch."""
    if not operation.attention:
        return True
    shape = lowered.graph.tensors[operation.writes[0]].shape
    return len(shape) > 3 and shape[0] > _images(lowered)
