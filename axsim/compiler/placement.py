"""Placement: which part of each activation stays in on-chip memory and which spills to DRAM.

Tensors are placed in program order. One that does not fit beside those still needed keeps what fits
on chip and spills the rest: written once by its producer, read once by each reader. A map of a
network makes room first: of what is needed later than the map, the last spills. What is used up
tile by tile as it is made (a gate, attention scores) never exists as a whole.
"""

from __future__ import annotations

import itertools
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from functools import lru_cache
from math import inf
from types import MappingProxyType
from typing import NamedTuple

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
    maps: Set[str] = frozenset(),
    parts: Mapping[str, float] = MappingProxyType({}),
) -> Placement:
    """Place what the operations write and read; the graph's outputs stay to the end. What does not
    fit goes in bands where ``bands`` has their bytes, and what is in ``maps`` always, see
    :mod:`axsim.compiler.bands`. Of what is in ``parts`` so many bytes are there at a time."""
    memory = _Memory(capacity_bytes)
    resident = []
    for index, turn in enumerate(_turns(lowered)):
        for name in turn.in_place:
            memory.free(name)
        for name, whole, band in turn.begin:
            size = 0.0 if band is not None and band <= capacity_bytes else parts.get(name, whole)
            if bands and (name in maps or size > memory.room):
                size = min(size, bands.get(name, size))
            if name in maps and size > memory.room:
                memory.make_room(size, _needed_later(lowered, index, name, memory.held))
            memory.take(name, size, whole)
        resident.append(memory.on_chip)
        for name in turn.end:
            memory.free(name)
    return Placement(memory.spilled, tuple(resident), memory.dram_peak)


class _Memory:
    """What is on chip while tensors come and go; ``spilled`` as in :class:`Placement`."""

    def __init__(self, capacity_bytes: float) -> None:
        self.spilled: dict[str, float] = {}
        self.on_chip = self.dram_peak = 0.0
        self._in_dram = 0.0
        self._capacity = capacity_bytes
        self._held: dict[str, tuple[float, float, float]] = {}

    @property
    def held(self) -> Iterable[str]:
        """The tensors that are there, in the order in which they came."""
        return self._held

    @property
    def room(self) -> float:
        """Bytes that nothing takes."""
        return max(0.0, self._capacity - self.on_chip)

    def take(self, name: str, size: float, whole: float, most: float = inf) -> None:
        """Keep what fits, at most ``most``, of the ``size`` bytes that a tensor of ``whole`` bytes
        takes on chip; the same share of it stays out of DRAM."""
        kept, share = min(size, most), 0.0
        if self.on_chip + kept > self._capacity:
            kept = min(kept, self.room)
        if size - kept >= 1.0:  # less than a byte is rounding
            share = 1 - kept / size
            self._in_dram += share * whole
            self.dram_peak = max(self.dram_peak, self._in_dram)
        self.spilled[name], self._held[name] = share, (kept, size, whole)
        self.on_chip += kept

    def free(self, name: str) -> None:
        """Drop a tensor."""
        self._give_back(name)
        del self._held[name]

    def _give_back(self, name: str) -> None:
        kept, _, whole = self._held[name]
        self.on_chip -= kept
        self._in_dram -= self.spilled[name] * whole

    def make_room(self, size: float, names: Iterable[str]) -> None:
        """Spill of those named, one after the other, until so many bytes fit: from the beginning,
        since they are written as they are made."""
        for name in names:
            if self.room >= size:
                break
            kept, own, whole = self._held[name]
            if kept:
                most = max(0.0, kept - (size - self.room))
                self._give_back(name)
                self.take(name, own, whole, most)


def _needed_later(lowered: Lowered, index: int, new: str, held: Iterable[str]) -> list[str]:
    """What of ``held`` is needed after operation ``index`` and the next that reads ``new``: what is
    needed last comes first."""
    uses = _uses(lowered)
    following = {
        name: uses[name][bisect_right(uses[name], index)]
        for name in (*held, new)
        if uses[name][-1] > index
    }
    here = {*lowered.operations[index].reads, *lowered.operations[index].writes}
    first = following.pop(new, index)
    later = [name for name, use in following.items() if use > first and name not in here]
    return sorted(later, key=lambda name: following[name], reverse=True)


@lru_cache(maxsize=64)
def _uses(lowered: Lowered) -> Mapping[str, Sequence[int]]:
    """The operations that make or read each tensor; the graph's outputs are read at the end."""
    found: dict[str, list[int]] = {}
    for index, operation in enumerate(lowered.operations):
        for name in (*operation.reads, *operation.writes):
            found.setdefault(name, []).append(index)
    for name in lowered.outputs:
        found.setdefault(name, []).append(len(lowered.operations))
    return found


class _Turn(NamedTuple):
    """What one operation does to memory: tensors that it has used up before it writes (it computes
    in place), those that it is the first to need, with their bytes and, where no more than a tile
    of them exists at a time if a band of so many bytes fits on chip, the band; and those that
    nobody needs after it."""

    in_place: tuple[str, ...]
    begin: tuple[tuple[str, float, float | None], ...]
    end: tuple[str, ...]


@lru_cache(maxsize=256)
def _turns(lowered: Lowered) -> tuple[_Turn, ...]:
    """What the graph alone decides, operation by operation."""
    operations = lowered.operations
    last_use = {
        name: index
        for index, operation in enumerate(operations)
        for name in (*operation.reads, *operation.writes)
    }
    last_use |= dict.fromkeys(lowered.outputs, len(operations))
    streamed = _streamed(operations, last_use)
    seen: set[str] = set()
    found = []
    for index, operation in enumerate(operations):
        names = dict.fromkeys((*operation.reads, *operation.writes))
        done = [name for name in names if last_use[name] == index]
        reads = {*operation.reads} & seen if operation.matmul is None else ()
        in_place = tuple(name for name in done if name in reads)
        begin = [name for name in names if name not in seen]
        seen.update(begin)
        sizes = tuple((name, float(lowered.bytes(name)), streamed.get(name)) for name in begin)
        end = tuple(name for name in done if name not in in_place)
        found.append(_Turn(in_place, sizes, end))
    return tuple(found)


def _streamed(operations: Sequence[Operation], last_use: Mapping[str, int]) -> dict[str, float]:
    """Results of a product that only the next product's vector work reads (the gate of an MLP),
    and attention scores on their way into the second product, if a band of a head's scores fits on
    chip: the two are tiled together, so that no more than a tile of them exists at a time. Gives
    the band's bytes, 0 for a gate."""
    found = {}
    for index, (operation, following) in enumerate(itertools.pairwise(operations)):
        if operation.matmul is None or following.matmul is None:
            continue
        band = _band_bytes(operation, following)
        for name in operation.writes:
            gate = name in following.vector_reads
            if (gate or band) and last_use[name] == index + 1:
                found[name] = 0.0 if gate else float(band)
    return found


def widest_band(lowered: Lowered) -> int:
    """The largest band of scores that goes through attention depth-first where it fits."""
    pairs = itertools.pairwise(lowered.operations)
    return max((_band_bytes(*pair) for pair in pairs), default=0)


def _band_bytes(operation: Operation, following: Operation) -> int:
    """A band of a head's scores at four bytes each; 0 where the two are no attention."""
    scores = operation.matmul
    if scores is None or not (operation.attention and following.attention):
        return 0
    return 4 * min(scores.rows, BAND_ROWS) * scores.columns
