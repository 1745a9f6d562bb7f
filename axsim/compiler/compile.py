"""Compilation: lower, plan, tile. A graph becomes a Program for one chip."""

from __future__ import annotations

from axsim.compiler.cost import unit_us
from axsim.compiler.lower import Lowered, lower
from axsim.compiler.plan import Piece, plan
from axsim.compiler.program import Program, Segment
from axsim.compiler.tiling import Shape, engines, tile
from axsim.graph.ir import Graph
from axsim.numerics.formats import Part
from axsim.spec.chip import Chip, Mode


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
    planned = plan(lowered, part, mode.ocm_bytes, chip.npu.networks)
    shape = Shape.of(chip, mode.groups, mode.ocm_bytes)
    made = {piece: _segment(piece, chip, shape) for piece in dict.fromkeys(planned.pieces)}
    return Program(
        lowered.graph.name,
        engines(shape),
        chip.sustained_gbps * 1e3,
        tuple(made[piece] for piece in planned.pieces),
        planned.nodes,
        chip.npu.invocation_cycles / chip.calibrated.clock_mhz,
        planned.weight_bytes,
        planned.activation_bytes,
    )


def _segment(piece: Piece, chip: Chip, shape: Shape) -> Segment:
    tiled = tile(piece, shape)
    issue = chip.npu.step_us * (chip.npu.networks.banded_issue if piece.banded else 1)
    durations: list[float] = []  # of each step's tiles, in the order of the parts
    for operation, tiles in zip(piece.operations, tiled.tiles, strict=True):
        matrix, vector = unit_us(chip, shape.groups, operation)
        matrix, vector = matrix / tiles, vector / tiles
        durations += matrix, vector, matrix + issue, vector + issue
    durations.append(0.0)  # of transfers
    return Segment(piece.name, piece.steps, tiled.tiling, durations, piece.resident)
