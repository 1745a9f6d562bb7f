"""Compilation: lower, place, cut into segments, tile. A graph becomes a Program for one chip."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from axsim.chip import Chip, Mode
from axsim.compiler.lower import Lowered, Operation, lower
from axsim.compiler.memory import Placement, place
from axsim.compiler.program import Program, Segment, Step
from axsim.compiler.tile import Tiler, Traffic, engines, traffic_of
from axsim.graph.ir import Graph
from axsim.quantization.schemes import Part, stored_bytes

WEIGHT_SHARE = 0.2
"""Part of the on-chip memory that activations never take, so that weights can stream through."""

_LAYER = re.compile(r"layers\.(\d+)\.")


def compile_graph(
    graph: Graph,
    chip: Chip,
    mode: Mode,
    *,
    part: Part,
    float_matmul_on_conv: bool = False,
) -> Program:
    """Compile ``graph``, which has storage dtypes, for an NPU mode of ``chip``.

    ``part`` says how weights are stored. Repeated layers become one segment that repeats.
    """
    return compile_lowered(lower(graph, float_matmul_on_conv), chip, mode, part)


def compile_lowered(lowered: Lowered, chip: Chip, mode: Mode, part: Part) -> Program:
    """:func:`compile_graph` for a graph that was lowered before, which no chip has a part in."""
    graph = lowered.graph
    operations = lowered.operations
    npu = chip.npu
    groups, memory = mode.groups, mode.ocm_bytes
    placement = place(graph, operations, memory * (1 - WEIGHT_SHARE), frozenset(lowered.outputs))
    weights = [sum(stored_bytes(t, part) for t in op.weights) for op in operations]
    reserve = memory * WEIGHT_SHARE
    buffers = [max(memory - resident, reserve) for resident in placement.resident]
    traffic = _traffic(lowered, placement, weights)
    pieces = _pieces(operations)
    heads = [_head(weights[piece.start : piece.stop], reserve) for piece in pieces]
    known: dict[object, Segment] = {}
    segments, nodes = [], []
    for index, piece in enumerate(pieces):
        preloaded = heads[index] if index else 0.0
        following = heads[index + 1] if index + 1 < len(pieces) else 0.0
        chosen = range(piece.start, piece.stop)
        key = (
            preloaded,
            following,
            *_key(operations[piece.start : piece.stop], traffic, buffers, piece.start),
        )
        segment = known.get(key)
        if segment is None:
            tiler = Tiler(chip, groups, [buffers[i] for i in chosen], preloaded)
            for step, i in enumerate(chosen):
                tiler.emit(step, operations[i], traffic[i])
            segment = Segment(
                piece.name,
                tuple(_step(operations[i]) for i in chosen),
                tiler.finish(following),
                tuple(placement.resident[i] for i in chosen),
            )
            known[key] = segment
        segments.append(segment)
        nodes.append(tuple(tuple(operations[i].nodes) for i in chosen))
    io_bytes = sum(graph.tensors[n].bytes for n in (*graph.inputs, *graph.outputs))
    return Program(
        graph.name,
        engines(chip, groups),
        chip.sustained_gbps * 1e3,
        tuple(segments),
        tuple(nodes),
        npu.invocation_cycles / chip.calibrated.clock_mhz,
        round(sum(weights)),
        round(io_bytes + placement.dram_peak),
    )


@dataclass(frozen=True)
class _Piece:
    name: str
    start: int
    stop: int


def _pieces(operations: Sequence[Operation]) -> list[_Piece]:
    """Runs of operations of the same layer."""
    pieces: list[_Piece] = []
    current: str | None = None
    for index, operation in enumerate(operations):
        found = _LAYER.match(operation.label)
        name = "layer" if found else ("prologue" if not pieces else "epilogue")
        layer = found.group(1) if found else ""
        if layer != current or not pieces:
            pieces.append(_Piece(name, index, index + 1))
            current = layer
        else:
            pieces[-1] = _Piece(pieces[-1].name, pieces[-1].start, index + 1)
    return pieces


def _head(weights: Sequence[float], reserve: float) -> float:
    """Bytes of a segment's first weights that are loaded before it starts: half of the on-chip
    memory that is always left to weights, or all of them."""
    return min(sum(weights), reserve / 2)


def _traffic(lowered: Lowered, placement: Placement, weights: Sequence[float]) -> list[Traffic]:
    tensors = lowered.graph.tensors
    sizes = {name: float(tensors[name].bytes) for name in placement.spilled}
    waiting = {name for name in sizes if tensors[name].kind == "input"}
    result = []
    for operation, weight in zip(lowered.operations, weights, strict=True):
        fresh = frozenset(waiting.intersection(operation.reads))
        waiting -= fresh
        result.append(
            traffic_of(operation, sizes, placement.spilled, fresh, lowered.outputs, weight)
        )
    return result


def _key(
    operations: Sequence[Operation],
    traffic: Sequence[Traffic],
    buffers: Sequence[float],
    start: int,
) -> Iterator[tuple[object, ...]]:
    """Everything about a segment's operations, the first of which is number ``start``, that its
    tasks depend on. What is read from earlier segments is there from the beginning."""
    made: dict[str, int] = {}
    for index, operation in enumerate(operations):
        yield (
            _LAYER.sub("", operation.label),
            operation.operator,
            operation.matmul,
            operation.unit,
            operation.vector_ops,
            operation.transcendentals,
            operation.bits,
            tuple(made[name] for name in operation.reads if name in made),
            traffic[start + index],
            buffers[start + index],
        )
        made.update(dict.fromkeys(operation.writes, index))


def _step(operation: Operation) -> Step:
    return Step(
        _LAYER.sub("", operation.label),
        operation.operator,
        operation.macs,
        operation.vector_ops + operation.transcendentals,
    )
