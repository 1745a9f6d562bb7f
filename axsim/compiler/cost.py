"""Engine cycles of one operation on one chip: the only place where rates meet arithmetic."""

from __future__ import annotations

from axsim.chip import Chip
from axsim.compiler.lower import FLOATS, Matmul, Operation
from axsim.graph.ir import DTYPE_BITS

ARRAY_COLUMNS = 16
"""Output columns that one pass of a CONV unit makes at least: narrower tiles leave it under-filled.
Inferred: 1024 or 2048 MACs as 64 or 128 inner products wide."""


def macs_per_cycle(chip: Chip, matmul: Matmul) -> float:
    """Multiply-accumulates per CONV unit and cycle for the operand types."""
    conv, full = chip.npu.conv, chip.int8_macs_per_cycle
    if matmul.left in FLOATS:
        return full / conv.bf16_divisor
    left, right = DTYPE_BITS[matmul.left], DTYPE_BITS[matmul.right]
    if left > 8 and right > 8:
        return full / conv.int16_divisor
    if left > 8:
        return full / conv.u16_s8_divisor
    return full


def conv_cycles(chip: Chip, matmul: Matmul, units: int) -> float:
    """Cycles that each of ``units`` CONV units is busy with its share of the product.

    The shares are columns, or products of a batch. A stationary operand that was made at run time
    is loaded into the array before its rows stream through, at ``fill_bytes_per_cycle`` of the
    group; 16-bit ones are first split into byte planes. Weights are stored in array order and
    loaded behind the previous pass.
    """
    columns = matmul.columns
    if matmul.batch == 1:
        share = -(-columns // units)
        columns = min(columns, -(-share // ARRAY_COLUMNS) * ARRAY_COLUMNS) * units
    padded = max(matmul.batch * matmul.rows * matmul.inner * columns, matmul.macs)
    cycles = padded / units / macs_per_cycle(chip, matmul)
    if matmul.right_is_weight:
        return cycles
    groups = units / chip.npu.conv_per_group
    size = DTYPE_BITS[matmul.right] // 8
    stationary = matmul.batch * matmul.inner * matmul.columns * size / groups
    cycles += stationary / chip.npu.conv.fill_bytes_per_cycle
    if size == 2:
        cycles = max(cycles, stationary / chip.npu.conv.pack16_bytes_per_cycle)
    return cycles


def teng_matmul_cycles(chip: Chip, matmul: Matmul, units: int) -> float:
    """Cycles of a float product on ``units`` TENG units. Keys, the columns of the scores and the
    inner dimension of the context, are padded to whole attention tiles."""
    tile = chip.npu.attention_key_tile
    keys = max(matmul.inner, matmul.columns)
    padded = matmul.macs / keys * (-(-keys // tile) * tile)
    return padded / units / chip.calibrated.teng_macs_per_cycle


def vector_cycles(chip: Chip, operation: Operation, units: int) -> float:
    """Cycles of vector work on ``units`` TENG units; wider elements take proportionally longer."""
    ops = operation.vector_ops
    ops += operation.transcendentals * chip.calibrated.transcendental_passes
    ops += operation.requantized * chip.calibrated.requantize_passes
    return ops * operation.bits / 8 / units / chip.calibrated.teng_bytes_per_cycle


def unpack_cycles(chip: Chip, operation: Operation, units: int) -> float:
    """Cycles in which ``units`` SDMA channels expand the S4 weights of one operation."""
    elements = sum(t.elements for t in operation.weights if t.dtype == "s4")
    return elements / units / chip.calibrated.s4_unpack_elements_per_cycle
