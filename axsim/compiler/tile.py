"""Tiling: the operations of one segment become tasks on the engines of every resource group.

Work is shared evenly by the groups, and inside a group by its units. Weights flow through a buffer
in on-chip memory as one stream in program order, ahead of their use as far as the buffer reaches;
the head of the next segment's stream is loaded behind this segment's last weights. Inputs and
spilled tensors are loaded tile by tile, two tiles ahead. Operations wait for the data they read,
not for each other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from axsim.chip import Chip
from axsim.compiler.cost import conv_cycles, teng_matmul_cycles, vector_cycles
from axsim.compiler.lower import Operation
from axsim.compiler.program import Engine, Task, TaskKind

TILE_BYTES = 512 * 1024
"""Weights of one tile and group; the vendor's traces show loads of 0.46 and 0.98 MB."""
MAX_TILES = 32
"""Tiles of one operation and group: more would only refine how a phase starts and ends."""

FUSED_TILES = 4
"""Tiles of a product whose results the vector unit takes over while the next tile is computed."""


def engines(chip: Chip, groups: int) -> tuple[Engine, ...]:
    """The queues of ``groups`` resource groups, named and numbered as in the vendor's traces (a CV
    unit stands between TENG and SDMA; its layout work is done by addressing here)."""
    npu = chip.npu
    found = []
    number = 0
    for group in range(groups):
        for _ in range(npu.conv_per_group):
            found.append(Engine(f"conv{number}", "conv", group))
            number += 1
        for _ in range(npu.teng_per_group):
            found.append(Engine(f"teng{number}", "teng", group))
            number += 1
        number += 1  # CV
        for _ in range(npu.sdma_per_group):
            found.append(Engine(f"sdma{number}.rd", "sdma", group))
            found.append(Engine(f"sdma{number}.wr", "sdma", group))
            number += 1
    return tuple(found)


@dataclass(frozen=True)
class Traffic:
    """DRAM bytes of one operation by purpose."""

    weights: float = 0.0
    inputs: float = 0.0
    swap_in: float = 0.0
    swap_out: float = 0.0
    outputs: float = 0.0


@dataclass
class Emitted:
    """Where the results of an operation are ready: the last task of each engine that worked on it
    and, for what went to DRAM, the last store of each group."""

    computed: list[int] = field(default_factory=list)
    stored: list[int] = field(default_factory=list)


@dataclass(frozen=True)
class _WeightTile:
    bytes: float
    last_use: tuple[int, ...]  # tasks of one group that consume it


class Tiler:
    """Emits the tasks of one segment.

    ``weight_buffers`` is the on-chip memory of all groups that each step leaves to weights;
    ``preloaded`` the bytes at the head of the segment's weight stream that are on chip already.
    """

    def __init__(
        self, chip: Chip, groups: int, weight_buffers: Sequence[float], preloaded: float = 0.0
    ) -> None:
        self._chip = chip
        self._groups = groups
        self._clock = chip.calibrated.clock_mhz
        self._buffers = [size / groups for size in weight_buffers]
        self._preloaded = [preloaded / groups] * groups
        self._tasks: list[Task] = []
        self._stream: list[list[_WeightTile]] = [[] for _ in range(groups)]
        self._freed = [0] * groups
        self._held = [0.0] * groups
        self._made: dict[str, Emitted] = {}
        found = engines(chip, groups)
        self._units: list[dict[str, list[int]]] = []
        for group in range(groups):
            kinds: dict[str, list[int]] = {"conv": [], "teng": [], "rd": [], "wr": []}
            for index, engine in enumerate(found):
                if engine.group == group:
                    kind = engine.name[-2:] if engine.kind == "sdma" else engine.kind
                    kinds[kind].append(index)
            self._units.append(kinds)

    def finish(self, next_head_bytes: float) -> tuple[Task, ...]:
        """Load the head of the next segment's weights; the finished tasks."""
        share = next_head_bytes / self._groups
        step = self._tasks[-1].step if self._tasks else 0
        for group in range(self._groups):
            left = share
            while left > 1e-6:
                size = min(left, TILE_BYTES)
                self._load_weights(group, step, size)
                self._stream[group].append(_WeightTile(size, ()))
                left -= size
        return tuple(self._tasks)

    def emit(self, step: int, operation: Operation, traffic: Traffic) -> None:
        """Append the tasks of one operation."""
        chip, groups = self._chip, self._groups
        producers = [self._made[name] for name in operation.reads if name in self._made]
        ready = tuple(task for made in producers for task in made.computed)
        in_dram = tuple(task for made in producers for task in made.stored)
        tiles = _tile_count(traffic, groups, self._buffers[step])
        if operation.matmul is not None and operation.vector_ops:
            tiles = max(tiles, FUSED_TILES)
        vector_units = groups * chip.npu.teng_per_group
        vector = vector_cycles(chip, operation, vector_units) / self._clock / tiles
        matrix = self._matrix_us(operation) / tiles
        row_tiles = _splits_rows(operation)
        made = Emitted()
        for group in range(groups):
            units = self._units[group]
            history: list[tuple[int, ...]] = []  # compute tasks of each tile
            stored = -1
            last: dict[int, int] = {}
            for tile in range(tiles):
                issue = chip.npu.step_us if tile == 0 else 0.0
                loads = self._loads(group, step, traffic, tiles, row_tiles, in_dram, history)
                weight = traffic.weights / groups / tiles
                weight_loads = self._load_weights(group, step, weight) if weight else ()
                waits = (*loads, *weight_loads, *(ready if tile == 0 else ()))
                consumers: tuple[int, ...] = ()
                if matrix:
                    unit = units[operation.unit]
                    consumers = self._compute(step, unit, matrix + issue, waits)
                    issue = 0.0
                    waits = consumers
                if vector or not matrix:
                    consumers = self._compute(step, units["teng"], vector + issue, waits)
                for index in consumers:
                    last[self._tasks[index].engine] = index
                history.append(consumers)
                if weight:
                    self._stream[group].append(_WeightTile(weight, consumers))
                stored = self._stores(group, step, traffic, tiles, row_tiles, consumers, stored)
            made.computed += last.values()
            if stored >= 0:
                made.stored.append(stored)
        for name in operation.writes:
            self._made[name] = made

    def _matrix_us(self, operation: Operation) -> float:
        """Microseconds that each matrix unit works on an operation."""
        if operation.matmul is None:
            return 0.0
        chip, groups = self._chip, self._groups
        if operation.unit == "conv":
            cycles = conv_cycles(chip, operation.matmul, groups * chip.npu.conv_per_group)
        else:
            units = groups * chip.npu.teng_per_group
            cycles = teng_matmul_cycles(chip, operation.matmul, units)
        return cycles / self._clock

    def _add(
        self,
        engine: int,
        kind: TaskKind,
        step: int,
        duration_us: float = 0.0,
        size: float = 0.0,
        efficiency: float = 1.0,
        deps: tuple[int, ...] = (),
    ) -> int:
        self._tasks.append(Task(engine, kind, step, duration_us, size, size / efficiency, deps))
        return len(self._tasks) - 1

    def _compute(
        self, step: int, units: Sequence[int], duration_us: float, deps: tuple[int, ...]
    ) -> tuple[int, ...]:
        return tuple(self._add(unit, "compute", step, duration_us, deps=deps) for unit in units)

    def _loads(
        self,
        group: int,
        step: int,
        traffic: Traffic,
        tiles: int,
        row_tiles: bool,
        in_dram: tuple[int, ...],
        history: list[tuple[int, ...]],
    ) -> tuple[int, ...]:
        """Load one tile of inputs and spilled operands once the tile two before is used up."""
        row_efficiency = self._chip.dram.row_tile_efficiency
        swap_efficiency = self._chip.calibrated.swap_efficiency
        share = self._groups * tiles
        engine = self._units[group]["rd"][0]
        buffer_free = history[-2] if len(history) > 1 else ()
        found = []
        if traffic.inputs:
            efficiency = row_efficiency if row_tiles else 1.0
            size = traffic.inputs / share
            found.append(self._add(engine, "ld:input", step, 0.0, size, efficiency, buffer_free))
        if traffic.swap_in:
            size = traffic.swap_in / share
            deps = (*buffer_free, *in_dram)
            found.append(self._add(engine, "ld:ddr_swap", step, 0.0, size, swap_efficiency, deps))
        return tuple(found)

    def _stores(
        self,
        group: int,
        step: int,
        traffic: Traffic,
        tiles: int,
        row_tiles: bool,
        deps: tuple[int, ...],
        before: int,
    ) -> int:
        """Store one tile of outputs and spilled results; the index of the last store so far."""
        row_efficiency = self._chip.dram.row_tile_efficiency
        swap_efficiency = self._chip.calibrated.swap_efficiency
        share = self._groups * tiles
        engine = self._units[group]["wr"][0]
        if traffic.swap_out:
            size = traffic.swap_out / share
            before = self._add(engine, "st:ddr_swap", step, 0.0, size, swap_efficiency, deps)
        if traffic.outputs:
            efficiency = row_efficiency if row_tiles else 1.0
            size = traffic.outputs / share
            before = self._add(engine, "st:output", step, 0.0, size, efficiency, deps)
        return before

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
        return (self._add(engine, "ld:param", step, 0.0, size, 1.0, deps),)


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


def traffic_of(
    operation: Operation,
    sizes: Mapping[str, float],
    spilled: Mapping[str, float],
    fresh_inputs: frozenset[str],
    outputs: Mapping[str, int],
    weight_bytes: float,
) -> Traffic:
    """DRAM bytes of one operation. ``fresh_inputs`` are graph inputs that it reads first, and
    ``outputs`` the bytes of graph outputs."""
    inputs = sum(sizes[name] for name in operation.reads if name in fresh_inputs)
    swap_in = sum(
        sizes[name] * spilled[name] for name in operation.reads if name not in fresh_inputs
    )
    swap_out = sum(sizes[name] * spilled[name] for name in operation.writes if name not in outputs)
    stored = sum(outputs[name] for name in operation.writes if name in outputs)
    return Traffic(weight_bytes, inputs, swap_in, swap_out, stored)
