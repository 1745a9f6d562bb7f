"""Tiling: the operations of one segment become tasks on the engines of every resource group.

Work is shared evenly by the groups, and inside a group by its units. Weights flow through a buffer
in on-chip memory as one stream in program order, ahead of their use as far as the buffer reaches;
the head of the next segment's stream is loaded behind this segment's last weights. Inputs and
spilled tensors are loaded tile by tile, two tiles ahead. Operations wait for the data they read,
not for each other.

How long a tile computes is no affair of tiling: chips that differ in their rates share it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import chain
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from axsim.compiler.lower import Operation
from axsim.compiler.plan import Piece, Traffic
from axsim.compiler.program import Engine, TaskKind, Tiling
from axsim.spec.chip import Chip

TILE_BYTES = 512 * 1024
"""Weights of one tile and group; the vendor's traces show loads of 0.46 and 0.98 MB."""
MAX_TILES = 32
"""Tiles of one operation and group: more would only refine how a phase starts and ends."""

FUSED_TILES = 4
"""Tiles of a product whose results the vector unit takes over while the next tile is computed."""


MATRIX, VECTOR, FIRST, PARTS = 0, 1, 2, 4
"""Parts of a step's work: a tile's product, or its vector work; FIRST is added for the tile that
the step is issued with. PARTS is how many there are."""


class Shape(NamedTuple):
    """What tiling has to know of a chip: the resource groups in use, the engines of each, and the
    bandwidth of row tiles and of spilled tensors relative to that of weight streams."""

    groups: int
    conv_per_group: int
    teng_per_group: int
    sdma_per_group: int
    row_tile_efficiency: float
    swap_efficiency: float

    @classmethod
    def of(cls, chip: Chip, groups: int) -> Shape:
        """The shape of ``groups`` resource groups of ``chip``."""
        npu = chip.npu
        return cls(
            groups,
            npu.conv_per_group,
            npu.teng_per_group,
            npu.sdma_per_group,
            chip.dram.row_tile_efficiency,
            chip.calibrated.swap_efficiency,
        )

    def engines(self) -> tuple[Engine, ...]:
        """The queues, named and numbered as in the vendor's traces (a CV unit stands between TENG
        and SDMA; its layout work is done by addressing here)."""
        found = []
        number = 0
        for group in range(self.groups):
            for _ in range(self.conv_per_group):
                found.append(Engine(f"conv{number}", "conv", group))
                number += 1
            for _ in range(self.teng_per_group):
                found.append(Engine(f"teng{number}", "teng", group))
                number += 1
            number += 1  # CV
            for _ in range(self.sdma_per_group):
                found.append(Engine(f"sdma{number}.rd", "sdma", group))
                found.append(Engine(f"sdma{number}.wr", "sdma", group))
                number += 1
        return tuple(found)


@dataclass(frozen=True, eq=False)
class Tiled:
    """The tiling of a segment, how many ``tiles`` each of its steps has in every group, and which
    duration each task has: :data:`PARTS` times its step, and the part; -1 for transfers."""

    tiling: Tiling
    tiles: tuple[int, ...]
    duration: NDArray[np.intp]

    def durations(self, by_part: Sequence[Sequence[float]]) -> NDArray[np.float64]:
        """Microseconds of each task, from those of each step by part."""
        return np.array([*chain.from_iterable(by_part), 0.0])[self.duration]


@dataclass
class Emitted:
    """Where the results of an operation are ready: the last task of each engine that worked on it
    and, for what went to DRAM, the last store of each group."""

    computed: list[int] = field(default_factory=list)
    stored: list[int] = field(default_factory=list)


class _WeightTile(NamedTuple):
    bytes: float
    last_use: tuple[int, ...]  # tasks of one group that consume it


class _Move(NamedTuple):
    """What each tile of an operation loads or stores; ``deps`` beside those of the tile."""

    kind: TaskKind
    bytes: float
    cost: float
    deps: tuple[int, ...] = ()


@lru_cache(maxsize=128)
def tile(piece: Piece, shape: Shape) -> Tiled:
    """Tile one segment."""
    tiler = Tiler(shape, piece.buffers, piece.preloaded)
    for operation, traffic in zip(piece.operations, piece.traffic, strict=True):
        tiler.emit(operation, traffic)
    return tiler.finish(piece.following)


class Tiler:
    """Emits the tasks of one segment.

    ``weight_buffers`` is the on-chip memory of all groups that each step leaves to weights;
    ``preloaded`` the bytes at the head of the segment's weight stream that are on chip already.
    """

    def __init__(
        self, shape: Shape, weight_buffers: Sequence[float], preloaded: float = 0.0
    ) -> None:
        groups = shape.groups
        self._shape = shape
        self._buffers = [size / groups for size in weight_buffers]
        self._preloaded = [preloaded / groups] * groups
        # columns of the tasks
        self._engine: list[int] = []
        self._kind: list[TaskKind] = []
        self._step: list[int] = []
        self._duration: list[int] = []
        self._bytes: list[float] = []
        self._cost: list[float] = []
        self._deps: list[tuple[int, ...]] = []
        self._tiles: list[int] = []
        self._stream: list[list[_WeightTile]] = [[] for _ in range(groups)]
        self._freed = [0] * groups
        self._held = [0.0] * groups
        self._made: dict[str, Emitted] = {}
        self._units: list[dict[str, list[int]]] = [
            {"conv": [], "teng": [], "rd": [], "wr": []} for _ in range(groups)
        ]
        for index, engine in enumerate(shape.engines()):
            kind = engine.name[-2:] if engine.kind == "sdma" else engine.kind
            self._units[engine.group][kind].append(index)

    def finish(self, next_head_bytes: float) -> Tiled:
        """Load the head of the next segment's weights; the finished tiling."""
        share = next_head_bytes / self._shape.groups
        step = len(self._tiles) - 1
        for group in range(self._shape.groups):
            left = share
            while left > 1e-6:
                size = min(left, TILE_BYTES)
                self._load_weights(group, step, size)
                self._stream[group].append(_WeightTile(size, ()))
                left -= size
        columns = self._engine, self._kind, self._step, self._bytes, self._cost, self._deps
        return Tiled(Tiling(*columns), tuple(self._tiles), np.array(self._duration, np.intp))

    def emit(self, operation: Operation, traffic: Traffic) -> None:
        """Append the tasks of the next step."""
        step, groups = len(self._tiles), self._shape.groups
        producers = [self._made[name] for name in operation.reads if name in self._made]
        ready = tuple(task for made in producers for task in made.computed)
        in_dram = tuple(task for made in producers for task in made.stored)
        tiles = _tile_count(traffic, groups, self._buffers[step])
        matrix, vector = operation.matmul is not None, operation.vector_work
        if matrix and vector:
            tiles = max(tiles, FUSED_TILES)
        loads, stores = self._moves(operation, traffic, tiles, in_dram)
        weight = traffic.weights / groups / tiles
        made = Emitted()
        for group, units in enumerate(self._units):
            before: tuple[int, ...] = ()  # compute tasks of the tile before the last
            last: tuple[int, ...] = ()
            stored: tuple[int, ...] = ()
            for tile in range(tiles):
                issue = FIRST if tile == 0 else 0
                # Inputs and spilled operands are loaded once the tile two before is used up.
                waits = self._transfers(step, units["rd"][0], loads, before) if loads else ()
                waits += self._load_weights(group, step, weight) if weight else ()
                waits += ready if tile == 0 else ()
                before = last
                if matrix:
                    last = self._compute(step, units[operation.unit], MATRIX + issue, waits)
                    issue, waits = 0, last
                if vector or not matrix:
                    last = self._compute(step, units["teng"], VECTOR + issue, waits)
                if weight:
                    self._stream[group].append(_WeightTile(weight, last))
                stored = self._transfers(step, units["wr"][0], stores, last) if stores else ()
            made.computed += last
            made.stored += stored[-1:]
        for name in operation.writes:
            self._made[name] = made
        self._tiles.append(tiles)

    def _moves(
        self, operation: Operation, traffic: Traffic, tiles: int, in_dram: tuple[int, ...]
    ) -> tuple[list[_Move], list[_Move]]:
        """What each tile of a group loads and stores; spilled operands are loaded once they are
        there (``in_dram``)."""
        share = self._shape.groups * tiles
        rows = self._shape.row_tile_efficiency if _splits_rows(operation) else 1.0
        swap = self._shape.swap_efficiency
        moves = (
            _Move("ld:input", traffic.inputs / share, traffic.inputs / share / rows),
            _Move("ld:ddr_swap", traffic.swap_in / share, traffic.swap_in / share / swap, in_dram),
            _Move("st:ddr_swap", traffic.swap_out / share, traffic.swap_out / share / swap),
            _Move("st:output", traffic.outputs / share, traffic.outputs / share / rows),
        )
        loads, stores = moves[:2], moves[2:]
        return [each for each in loads if each.bytes], [each for each in stores if each.bytes]

    def _compute(
        self, step: int, units: Sequence[int], part: int, deps: tuple[int, ...]
    ) -> tuple[int, ...]:
        """The same work for each unit; the indices of the tasks."""
        first, count = len(self._engine), len(units)
        self._engine += units
        self._kind += ["compute"] * count
        self._step += [step] * count
        self._duration += [PARTS * step + part] * count
        self._bytes += [0.0] * count
        self._cost += [0.0] * count
        self._deps += [deps] * count
        return tuple(range(first, first + count))

    def _transfers(
        self, step: int, engine: int, moves: Sequence[_Move], deps: tuple[int, ...]
    ) -> tuple[int, ...]:
        """One tile's moves; the indices of the tasks."""
        first = len(self._engine)
        for kind, size, cost, more in moves:
            self._engine.append(engine)
            self._kind.append(kind)
            self._step.append(step)
            self._duration.append(-1)
            self._bytes.append(size)
            self._cost.append(cost)
            self._deps.append(deps + more)
        return tuple(range(first, len(self._engine)))

    def _load_weights(self, group: int, step: int, size: float) -> tuple[int, ...]:
        """Load the next ``size`` bytes of the stream; waits until the buffer has room for them."""
        stream = self._stream[group]
        deps: tuple[int, ...] = ()
        self._held[group] += size
        # Coarse tiles stand for several of the hardware's: the buffer always holds two and a bit.
        room = max(self._buffers[step], 2.5 * size)
        while self._held[group] > room and self._freed[group] < len(stream):
            oldest = stream[self._freed[group]]
            self._held[group] -= oldest.bytes
            self._freed[group] += 1
            deps = oldest.last_use
        if self._preloaded[group] > 0:
            # Every group starts with the same share; it is used up in the order of the stream.
            have = min(size, self._preloaded[group])
            self._preloaded[group] -= have
            size -= have
            if size <= 1e-6:
                return ()
        engine = self._units[group]["rd"][0]
        return self._transfers(step, engine, [_Move("ld:param", size, size)], deps)


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
