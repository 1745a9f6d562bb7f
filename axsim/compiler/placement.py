"""Placement: which part of each activation stays in on-chip memory and which spills to DRAM.

Tensors are placed in program order. One that does not fit beside those still needed keeps what fits
on chip and spills the rest: written once by its producer, read once by each reader. What is used up
tile by tile as it is made (a gate, attention scores) never exists as a whole.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from axsim.compiler.lower import Lowered, Operation

BAND_ROWS = 64
"""Rows of a head's scores that are on chip at a time. That scores are tiled so is what lets one
spill rate hold on both chips for U8 and U16 at 224 and 448 pixels (P001 to P007, P144)."""


@dataclass(frozen=True, eq=False)
class Placement:
    """``spilled`` gives each tensor's share in DRAM, 0 to 1; ``resident`` the on-chip bytes taken
    while each operation runs; ``dram_peak`` the most DRAM that spilled tensors need at once."""

    spilled: dict[str, float]
    resident: tuple[float, ...]
    dram_peak: float


def place(
    lowered: Lowered,
    capacity_bytes: float,
    bands: Mapping[str, float] = MappingProxyType({}),
) -> Placement:
    """Place what the operations write and read; the graph's outputs stay to the end. What does not
    fit goes in bands where ``bands`` has their bytes, see :mod:`axsim.compiler.bands`."""
    operations = lowered.operations
    last_use = {
        name: index
        for index, operation in enumerate(operations)
        for name in (*operation.reads, *operation.writes)
    }
    for name in lowered.outputs:
        last_use[name] = len(operations)
    streamed = _streamed(operations, last_use, capacity_bytes)
    spilled: dict[str, float] = {}
    on_chip: dict[str, float] = {}
    in_dram: dict[str, float] = {}
    resident = []
    dram_peak = 0.0
    for index, operation in enumerate(operations):
        if operation.matmul is None:
            _release(on_chip, in_dram, operation.reads, last_use, index)  # computed in place
        for name in (*operation.reads, *operation.writes):
            if name in spilled:
                continue
            size: float = 0 if name in streamed else lowered.bytes(name)
            room = max(0.0, capacity_bytes - sum(on_chip.values()))
            if size > room:
                size = min(size, bands.get(name, size))
            kept = min(size, room)
            spilled[name] = 1 - kept / size if size else 0.0
            on_chip[name], in_dram[name] = kept, size - kept
        resident.append(sum(on_chip.values()))
        dram_peak = max(dram_peak, sum(in_dram.values()))
        _release(on_chip, in_dram, tuple(on_chip), last_use, index)
    return Placement(spilled, tuple(resident), dram_peak)


def _streamed(
    operations: Sequence[Operation], last_use: Mapping[str, int], capacity: float
) -> frozenset[str]:
    """Results of a product that only the next product's vector work reads (the gate of an MLP),
    and attention scores on their way into the second product: the two are tiled together, so that
    no more than a tile of them exists at a time."""
    found = set()
    for index, (operation, following) in enumerate(itertools.pairwise(operations)):
        if operation.matmul is None or following.matmul is None:
            continue
        for name in operation.writes:
            at_once = name in following.vector_reads or _in_bands(operation, following, capacity)
            if at_once and last_use[name] == index + 1:
                found.add(name)
    return frozenset(found)


def widest_band(lowered: Lowered) -> int:
    """The largest band of scores that goes through attention depth-first where it fits."""
    pairs = itertools.pairwise(lowered.operations)
    return max((_band_bytes(*pair) for pair in pairs), default=0)


def _in_bands(operation: Operation, following: Operation, capacity: float) -> bool:
    """Whether attention goes depth-first: a band of a head's scores through softmax and into the
    second product before the next band, which must fit on chip."""
    return 0 < _band_bytes(operation, following) <= capacity


def _band_bytes(operation: Operation, following: Operation) -> int:
    """A band of a head's scores at four bytes each; 0 where the two are no attention."""
    scores = operation.matmul
    if scores is None or not (operation.attention and following.attention):
        return 0
    return 4 * min(scores.rows, BAND_ROWS) * scores.columns


def _release(
    on_chip: dict[str, float],
    in_dram: dict[str, float],
    names: Sequence[str],
    last_use: Mapping[str, int],
    index: int,
) -> None:
    """Free those of ``names`` that nobody reads after operation ``index``."""
    for name in names:
        if name in on_chip and last_use[name] <= index:
            del on_chip[name], in_dram[name]
