"""Tiling: the operations of one segment become tasks on the engines of every resource group.

Work is shared evenly by the groups, and inside a group by its units. Weights flow through a buffer
in on-chip memory as one stream in program order, ahead of their use as far as the buffer reaches;
the head of the next segment's stream is loaded behind this segment's last weights. Inputs and
spilled tensors are loaded tile by tile, two tiles ahead. Operations wait for the data they read,
not for each other. Float products of many rows load their weights in turn: the first tile with the
operation's inputs, each next one behind the products of the tile before it, not behind its vector
work.

How long a tile computes is no affair of tiling: chips that differ in their rates share it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from axsim.compiler.emit import TILE_BYTES, Engines, Steps, emit
from axsim.compiler.lower import Operation
from axsim.compiler.plan import Piece, Traffic
from axsim.compiler.program import Engine, Tiling
from axsim.kernels.twin import WhenItPays
from axsim.spec.chip import Chip

MAX_TILES = 32
"""Tiles of one operation and group: more would only refine how a phase starts and ends."""

FUSED_TILES = 4
"""Tiles of a product whose results the vector unit takes over while the next tile is computed."""

PLAIN_TASKS = 250_000
"""Tasks that a process emits in plain Python before it loads the compiled loop: 2 microseconds
each, compiled 0.1, on a 2.8 GHz Xeon."""

_loop = WhenItPays("axsim.compiler.emit_numba", PLAIN_TASKS)


class Shape(NamedTuple):
    """What tiling has to know of a chip: the resource groups in use, the engines of each, the
    bandwidth of row tiles and of spilled tensors relative to that of weight streams, the bands of a
    tensor that goes from step to step in bands, and the on-chip memory of a group that another NPU
    mode has (``elsewhere``).

    Tiles are as large as if a group had all of its memory. Else a mode with half of it has smaller
    tiles, whose first is there sooner, and is a little faster than the mode with all of it: 0.3 to
    0.6 % of a decode step on AX630C, which nothing in the hardware accounts for.
    """

    groups: int
    conv_per_group: int
    teng_per_group: int
    sdma_per_group: int
    row_tile_efficiency: float
    swap_efficiency: float
    bands: int = 0
    elsewhere: float = 0.0

    @classmethod
    def of(cls, chip: Chip, groups: int, ocm_bytes: float | None = None) -> Shape:
        """The shape of ``groups`` resource groups of ``chip``, which have ``ocm_bytes`` of their
        on-chip memory; all of it by default."""
        whole = chip.ocm_bytes * groups / chip.npu.resource_groups
        npu = chip.npu
        return cls(
            groups,
            npu.conv_per_group,
            npu.teng_per_group,
            npu.sdma_per_group,
            chip.dram.row_tile_efficiency,
            chip.calibrated.swap_efficiency,
            npu.networks.bands,
            0.0 if ocm_bytes is None else (whole - ocm_bytes) / groups,
        )


@lru_cache(maxsize=64)
def engines(shape: Shape) -> tuple[Engine, ...]:
    """The queues, named and numbered as in the vendor's traces (a CV unit stands between TENG
    and SDMA; its layout work is done by addressing here)."""
    found = []
    number = 0
    for group in range(shape.groups):
        for _ in range(shape.conv_per_group):
            found.append(Engine(f"conv{number}", "conv", group))
            number += 1
        for _ in range(shape.teng_per_group):
            found.append(Engine(f"teng{number}", "teng", group))
            number += 1
        number += 1  # CV
        for _ in range(shape.sdma_per_group):
            found.append(Engine(f"sdma{number}.rd", "sdma", group))
            found.append(Engine(f"sdma{number}.wr", "sdma", group))
            number += 1
    return tuple(found)


@dataclass(frozen=True, eq=False)
class Tiled:
    """The tiling of a segment, and how many ``tiles`` each of its steps has in every group."""

    tiling: Tiling
    tiles: Sequence[int]


@lru_cache(maxsize=512)
def tile(piece: Piece, shape: Shape) -> Tiled:
    """Tile one segment."""
    steps = _steps(piece, shape)
    preloaded, following = piece.preloaded / shape.groups, piece.following / shape.groups
    loop = _loop.module()
    chosen = emit if loop is None else loop.emit
    tiling = Tiling(*chosen(_first_engines(shape), steps, preloaded, following))
    if loop is None:
        _loop.did(len(tiling.engine))
    return Tiled(tiling, steps.tiles)


def _steps(piece: Piece, shape: Shape) -> Steps:
    """What the emission of tasks has to know of each operation."""
    writer: dict[str, int] = {}
    makers: list[int] = []
    banded: list[bool] = []
    begins, tiles, moves, weights = [0], [], [], []
    for step, (operation, traffic) in enumerate(zip(piece.operations, piece.traffic, strict=True)):
        buffer = piece.buffers[step] / shape.groups + shape.elsewhere
        count = _tile_count(traffic, shape.groups, buffer)
        if operation.matmul is not None and operation.vector_work:
            count = max(count, FUSED_TILES)
        if piece.banded.intersection((*operation.reads, *operation.writes)):
            count = max(count, shape.bands)
        tiles.append(count)
        weights.append(traffic.weights / shape.groups / count)
        moves.append(_moves(operation, traffic, shape, count))
        read = [name for name in operation.reads if name in writer]
        makers += [writer[name] for name in read]
        banded += [name in piece.banded for name in read]
        begins.append(len(makers))
        writer |= dict.fromkeys(operation.writes, step)
    units = [None if each.matmul is None else each.unit for each in piece.operations]
    return Steps(
        tiles,
        [unit == "conv" for unit in units],
        [unit == "teng" for unit in units],
        [each.vector_work > 0 for each in piece.operations],
        [each.loads_in_turn for each in piece.operations],
        weights,
        moves,
        [size / shape.groups for size in piece.buffers],
        begins,
        makers,
        banded,
    )


def _moves(
    operation: Operation, traffic: Traffic, shape: Shape, tiles: int
) -> tuple[tuple[float, float], ...]:
    """Bytes and cost of what each tile of a group moves, in the order of
    :data:`axsim.compiler.emit.MOVES`."""
    share = shape.groups * tiles
    rows = shape.row_tile_efficiency if _splits_rows(operation) else 1.0
    swap = shape.swap_efficiency
    sizes = traffic.inputs, traffic.swap_in, traffic.swap_out, traffic.outputs
    pairs = zip(sizes, (rows, swap, swap, rows), strict=True)
    return tuple((size / share, size / share / efficiency) for size, efficiency in pairs)


@lru_cache(maxsize=64)
def _first_engines(shape: Shape) -> Engines:
    first: dict[str, list[int]] = {"conv": [], "teng": [], "rd": [], "wr": []}
    for index, engine in enumerate(engines(shape)):
        of_kind = first[engine.name[-2:] if engine.kind == "sdma" else engine.kind]
        if len(of_kind) == engine.group:
            of_kind.append(index)
    return Engines(shape.conv_per_group, shape.teng_per_group, *first.values())


def _tile_count(traffic: Traffic, groups: int, buffer: float) -> int:
    """Tiles per group: so many that each moves about TILE_BYTES and that four of them fit the
    group's ``buffer``; at most MAX_TILES."""
    streams = (traffic.weights, traffic.inputs, traffic.swap_in, traffic.swap_out, traffic.outputs)
    size = min(TILE_BYTES, buffer / 4)
    return max(1, min(MAX_TILES, -int(-max(streams) // (groups * size))))


def _splits_rows(operation: Operation) -> bool:
    """Whether tiles are short rows: vector work, products taller than wide, and those of many heads
    (a head's keys are a narrow column of the KV cache)."""
    matmul = operation.matmul
    return matmul is None or matmul.batch > 1 or matmul.rows > matmul.columns
