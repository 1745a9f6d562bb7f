"""The plan of a program: what the graph and the on-chip memory decide, whatever the chip's rates.

Where the graph is cut into segments and which of them are alike, what spills, and what each
operation moves through DRAM. Chips that differ in their rates alone share one plan.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import inf
from typing import NamedTuple

from axsim.compiler.bands import place_in_bands
from axsim.compiler.lower import Lowered, Operation
from axsim.compiler.placement import Placement, place, widest_band
from axsim.compiler.program import Step
from axsim.numerics.formats import Part, stored_bytes
from axsim.spec.chip import NetworksSection

WEIGHT_SHARE = 0.6
"""Part of the on-chip memory that activations never take: two tiles of weights, one in use and one
on its way. The vendor's traces of one group show tiles of up to 983,168 bytes beside a budget of
3,141,632, twice which is 63 %; the towers of AX630C (P002, P004, P006, P015), whose on-chip memory
is documented, leave 55 to 65 %."""

_LAYER = re.compile(r"layers\.(\d+)\.")


class Traffic(NamedTuple):
    """DRAM bytes of one operation by purpose."""

    weights: float = 0.0
    inputs: float = 0.0
    swap_in: float = 0.0
    swap_out: float = 0.0
    outputs: float = 0.0


@dataclass(frozen=True, eq=False)
class Piece:
    """A segment before it is tiled: operations, as the program shows them (``steps``) too, their
    traffic, the on-chip memory that each of them leaves to weights (``buffers``) and that its
    tensors take (``resident``).

    ``preloaded`` bytes at the head of its weights are on chip before it starts; it loads
    ``following`` bytes of the next piece's. Tensors in ``banded`` go from step to step in bands of
    rows.
    """

    name: str
    operations: tuple[Operation, ...]
    steps: tuple[Step, ...]
    traffic: tuple[Traffic, ...]
    buffers: tuple[float, ...]
    resident: tuple[float, ...]
    preloaded: float
    following: float
    banded: frozenset[str] = frozenset()


@dataclass(frozen=True, eq=False)
class Plan:
    """``pieces`` in order of execution (equal ones are one object), the graph nodes of each of
    their operations, and the program's sizes in DRAM."""

    pieces: tuple[Piece, ...]
    nodes: tuple[tuple[tuple[str, ...], ...], ...]
    weight_bytes: int
    activation_bytes: int


@lru_cache(maxsize=256)
def plan(
    lowered: Lowered,
    part: Part,
    ocm_bytes: float,
    networks: NetworksSection = NetworksSection(),  # noqa: B008 (frozen)
) -> Plan:
    """Plan a graph for so much on-chip memory; ``part`` says how its weights are stored, and
    ``networks`` how bands are cut."""
    graph, cuts, weights = lowered.graph, _cuts(lowered), _weights(lowered, part)
    reserve = ocm_bytes * WEIGHT_SHARE
    capacity = ocm_bytes * (1 - WEIGHT_SHARE)
    if part == "network":
        banded, placement = place_in_bands(lowered, weights, reserve, capacity, networks)
    else:
        banded, placement = {}, _placement(lowered, capacity)
    buffers = [max(ocm_bytes - resident, reserve) for resident in placement.resident]
    traffic = _traffic(lowered, placement, part)
    heads = [_head(lowered.operations[cut.span], weights[cut.span], reserve) for cut in cuts]
    heads = [0.0, *heads[1:], 0.0]
    known: dict[object, Piece] = {}
    pieces = []
    for cut, preloaded, following in zip(cuts, heads, heads[1:], strict=False):
        span = cut.span
        conditions = traffic[span], tuple(buffers[span]), preloaded, following
        key = (cut.alike, conditions)
        if key not in known:
            known[key] = Piece(
                cut.name,
                lowered.operations[span],
                cut.steps,
                traffic[span],
                tuple(buffers[span]),
                placement.resident[span],
                preloaded,
                following,
                frozenset(banded),
            )
        pieces.append(known[key])
    io_bytes = sum(graph.tensors[name].bytes for name in (*graph.inputs, *graph.outputs))
    return Plan(
        tuple(pieces),
        tuple(cut.nodes for cut in cuts),
        round(sum(weights)),
        round(io_bytes + placement.dram_peak),
    )


def base_label(operation: Operation) -> str:
    """An operation's label without the layer that it belongs to."""
    return _LAYER.sub("", operation.label)


def _step(operation: Operation) -> Step:
    matmul = operation.matmul
    return Step(
        base_label(operation),
        operation.operator,
        operation.macs,
        operation.vector_work,
        matmul.mac_type if matmul else None,
    )


@dataclass(frozen=True)
class _Cut:
    """A run of operations of one layer. Those of equal ``alike`` are the same but for their
    tensors' places and sizes in memory."""

    name: str
    span: slice
    steps: tuple[Step, ...]
    alike: int
    nodes: tuple[tuple[str, ...], ...]


@lru_cache(maxsize=256)
def _cuts(lowered: Lowered) -> tuple[_Cut, ...]:
    """The operations, cut into layers and what stands before and after them."""
    operations = lowered.operations
    layers = [_LAYER.match(each.label) for each in operations]
    numbers = [match.group(1) if match else "" for match in layers]
    starts = [i for i in range(len(numbers)) if i == 0 or numbers[i] != numbers[i - 1]]
    known: dict[object, int] = {}
    found = []
    for start, stop in zip(starts, [*starts[1:], len(numbers)], strict=True):
        span = slice(start, stop)
        name = "layer" if layers[start] else "epilogue" if start else "prologue"
        alike = known.setdefault(tuple(_traits(operations[span])), len(known))
        nodes = tuple(tuple(each.nodes) for each in operations[span])
        steps = tuple(_step(each) for each in operations[span])
        found.append(_Cut(name, span, steps, alike, nodes))
    return tuple(found)


def _traits(operations: Sequence[Operation]) -> Iterator[tuple[object, ...]]:
    """Everything about operations that their tasks depend on, besides memory. What they read from
    earlier segments is there from the beginning."""
    made: dict[str, int] = {}
    for index, operation in enumerate(operations):
        yield (
            base_label(operation),
            operation.operator,
            operation.matmul,
            operation.unit,
            operation.vector_ops,
            operation.transcendentals,
            operation.bits,
            operation.windows,
            tuple(made[name] for name in operation.reads if name in made),
        )
        made.update(dict.fromkeys(operation.writes, index))


@lru_cache(maxsize=256)
def _weights(lowered: Lowered, part: Part) -> tuple[float, ...]:
    """Bytes of each operation's weights as stored."""
    return tuple(sum(stored_bytes(t, part) for t in each.weights) for each in lowered.operations)


@lru_cache(maxsize=256)
def _sizes(lowered: Lowered) -> dict[str, float]:
    """Bytes of every tensor that an operation reads or writes."""
    names = {name for each in lowered.operations for name in (*each.reads, *each.writes)}
    return {name: float(lowered.bytes(name)) for name in names}


def _head(operations: Sequence[Operation], weights: Sequence[float], reserve: float) -> float:
    """Bytes of a piece's first weights that are loaded before it starts: half of the on-chip
    memory that is always left to weights, or all of them; none where they are loaded in turn."""
    if any(each.loads_in_turn for each in operations):
        return 0.0
    return min(sum(weights), reserve / 2)


def _placement(lowered: Lowered, capacity_bytes: float) -> Placement:
    """Where activations are: what fits into some memory is placed the same in any larger one."""
    roomy = _roomy_placement(lowered)
    if max(roomy.resident) <= capacity_bytes and widest_band(lowered) <= capacity_bytes:
        return roomy
    return place(lowered, capacity_bytes)


@lru_cache(maxsize=256)
def _roomy_placement(lowered: Lowered) -> Placement:
    return place(lowered, inf)


@lru_cache(maxsize=256)
def _traffic(lowered: Lowered, placement: Placement, part: Part) -> tuple[Traffic, ...]:
    """What each operation moves."""
    sizes = _sizes(lowered)
    swapped = {name: sizes[name] * share for name, share in placement.spilled.items() if share}
    return tuple(
        Traffic(
            each.weights,
            each.inputs,
            sum([swapped[name] * share for name, share in each.reads if name in swapped]),
            sum([swapped[name] for name in each.writes if name in swapped]),
            each.outputs,
        )
        for each in _moves(lowered, part)
    )


class _Moves(NamedTuple):
    """Bytes that an operation moves wherever tensors are, and those that are moved if they are
    spilled: what it reads, with the share of each that it needs, and what it writes."""

    weights: float
    inputs: float
    reads: tuple[tuple[str, float], ...]
    writes: tuple[str, ...]
    outputs: float


@lru_cache(maxsize=256)
def _moves(lowered: Lowered, part: Part) -> tuple[_Moves, ...]:
    """Graph inputs are loaded by the first operation that reads them."""
    sizes, outputs, weights = _sizes(lowered), lowered.outputs, _weights(lowered, part)
    waiting = {name for name in lowered.graph.inputs if name in sizes}
    found = []
    for operation, weight in zip(lowered.operations, weights, strict=True):
        reads, writes = operation.reads, operation.writes
        fresh = waiting.intersection(reads)
        waiting -= fresh
        found.append(
            _Moves(
                weight,
                sum([sizes[name] for name in reads if name in fresh]),
                tuple((name, operation.shares[name]) for name in reads if name not in fresh),
                tuple(name for name in writes if name not in outputs),
                sum([outputs[name] for name in writes if name in outputs]),
            )
        )
    return tuple(found)
