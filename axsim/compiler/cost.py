"""Engine cycles of one operation on one chip: the only place where rates meet arithmetic."""

from __future__ import annotations

import math

from axsim.compiler.lower import Matmul, Operation
from axsim.graph.ir import DTYPE_BITS, FLOATS
from axsim.spec.chip import Chip

ARRAY_COLUMNS = 16
"""Output columns that one pass of a CONV unit makes at least: narrower tiles leave it under-filled.
Inferred: 1024 or 2048 MACs as 64 or 128 inner products wide."""

LOOKUP_PASSES = {8: 1, 16: 4}
"""Element operations of a function on integers: a table of 256 entries, or for 16 bits two
neighbouring entries, their difference and its share. Inferred from the U8 and U16 vision rows."""

SMALLEST_ARRAY = 1024
"""Multipliers of the array that takes ``networks.pixels`` at a time; AX630C's is twice as large."""

BYTE_PLANES = 2
"""A 16-bit operand is multiplied in two planes of 8 bits. The compiler's own counts of products of
two such operands (P097 to P129) give 4.27 times INT8, so one such operand takes half of that."""

S4_ROWS = 64
"""Rows that one expansion of S4 weights serves on a chip where it has a rate of its own: on AX630C
128 rows (P058 to P062, P154) pay twice what one row does (P063, P155)."""


def unit_us(chip: Chip, groups: int, operation: Operation) -> tuple[float, float]:
    """Microseconds that each unit of ``groups`` resource groups works on an operation's product and
    on its vector work."""
    clock, matmul = chip.calibrated.clock_mhz, operation.matmul
    teng = groups * chip.npu.teng_per_group
    if matmul is None:
        matrix = 0.0
    elif operation.unit == "conv":
        matrix = conv_cycles(chip, matmul, groups * chip.npu.conv_per_group)
    else:
        matrix = teng_matmul_cycles(chip, matmul, teng)
    return matrix / clock, vector_cycles(chip, operation, teng) / clock


def macs_per_cycle(chip: Chip, matmul: Matmul) -> float:
    """Multiply-accumulates per CONV unit and cycle for the operand types."""
    conv, full = chip.npu.conv, chip.int8_macs_per_cycle
    if matmul.left in FLOATS:
        return full / chip.calibrated.bf16_divisor
    left, right = DTYPE_BITS[matmul.left], DTYPE_BITS[matmul.right]
    if left > 8 and right > 8:
        return full / conv.int16_divisor
    if left > 8:
        return full * BYTE_PLANES / conv.int16_divisor
    return full


def conv_cycles(chip: Chip, matmul: Matmul, units: int) -> float:
    """Cycles that each of ``units`` CONV units is busy with its share of the product.

    The shares are columns, or products of a batch. The right operand is loaded into the array block
    by block, at ``fill_bytes_per_cycle`` of the group, before the rows stream through: few rows use
    the array badly. S4 weights are expanded on the way in, where the chip has a rate for it again
    for every S4_ROWS rows. A 16-bit operand that was made at run time is first split into byte
    planes.

    Weights that are loaded in turn go into the array as they arrive: between the load of a tile and
    its products there is no fill. With one, what a layer's products cost beside its bytes comes out
    at 3.7 TMAC/s, and is too long the more weights a layer has (P016, P080, P082, P084, 3 to 7 %);
    4 to 6 TMAC/s fit the rows, and the array's full rate is 5.5.
    """
    if matmul.width:
        return window_cycles(chip, matmul, units)
    columns = matmul.columns
    if matmul.batch == 1:
        share = -(-columns // units)
        columns = min(columns, -(-share // ARRAY_COLUMNS) * ARRAY_COLUMNS) * units
    padded = max(matmul.batch * matmul.rows * matmul.inner * columns, matmul.macs)
    cycles = padded / units / macs_per_cycle(chip, matmul)
    cycles *= _overflow(chip, matmul)
    rate = chip.calibrated.s4_elements_per_cycle
    if matmul.right == "s4" and rate:
        elements = matmul.inner * matmul.columns / units
        return cycles + elements / rate * math.ceil(matmul.rows / S4_ROWS)
    if matmul.loads_in_turn:
        return cycles
    groups = units / chip.npu.conv_per_group
    elements = matmul.batch * matmul.inner * matmul.columns / groups
    size = max(1, DTYPE_BITS[matmul.right] // 8)
    cycles += elements * size / chip.npu.conv.fill_bytes_per_cycle
    if size == 2 and not matmul.right_is_weight:
        cycles = max(cycles, elements * size / chip.npu.conv.pack16_bytes_per_cycle)
    return cycles


def window_cycles(chip: Chip, matmul: Matmul, units: int) -> float:
    """Cycles of a convolution of an image, each of ``units`` CONV units its share: columns, or
    bands of the height, whatever takes least.

    An image streams through in whole groups of pixels along its width, twice as many where the
    array is twice as large: without them Inception v3, whose maps are 35, 17 and 8 wide, comes out
    a fifth fast on AX650N NPU1 (C003). Taps and channels are padded to the inner products that 16
    columns leave to the array. The next block's weights are loaded behind the rows of the one
    before. A channel that is convolved by itself (depthwise) takes up all 16 columns.
    """
    full, networks = chip.int8_macs_per_cycle, chip.npu.networks
    width = _whole(matmul.width, max(1, round(networks.pixels * full / SMALLEST_ARRAY)))
    inner = _whole(matmul.inner, max(1, round(full / ARRAY_COLUMNS)))
    if matmul.depthwise:
        inner = matmul.inner * networks.depthwise_columns
    height, weights = matmul.rows // matmul.width, matmul.inner * matmul.columns
    found = []
    for bands in (n for n in range(1, units + 1) if units % n == 0):
        shares = units // bands
        columns = _whole(-(-matmul.columns // shares), ARRAY_COLUMNS)
        products = -(-height // bands) * width * inner * columns
        stream = products / macs_per_cycle(chip, matmul) * _overflow(chip, matmul)
        groups = max(1.0, shares / chip.npu.conv_per_group)
        found.append(max(stream, weights / groups / chip.npu.conv.fill_bytes_per_cycle))
    return min(found)


def _overflow(chip: Chip, matmul: Matmul) -> float:
    """How much longer a product of many bf16 rows takes.

    Empirical: on AX630C a bf16 product of more than ``bf16_rows`` rows takes longer for each of
    them (P091 and P153, 256 rows, against P087 and P095, 128 rows of the same builds), as if its
    partial sums left the array and came back. The tile sizes of a vendor trace of such a product
    would replace the factor.
    """
    most, overflow = chip.npu.conv.bf16_rows, chip.calibrated.bf16_overflow
    if not (most and overflow and matmul.left in FLOATS and matmul.right_is_weight):
        return 1.0
    return overflow if matmul.rows > most else 1.0


def teng_matmul_cycles(chip: Chip, matmul: Matmul, units: int) -> float:
    """Cycles of a float product on ``units`` TENG units. Keys, the width and the rows of each head
    are padded to whole attention tiles (heads of 96 cost as 128: P084 beside P065, P080 and P082);
    a single row, in decode, is not."""
    npu = chip.npu
    keys = matmul.keys
    padded = matmul.macs / keys * _whole(keys, npu.attention_key_tile)
    head = min(matmul.inner, matmul.columns)
    padded *= _whole(head, npu.attention_row_tile) / head
    if matmul.rows_per_head > 1:
        rows = matmul.rows_per_head
        padded *= _whole(rows, npu.attention_row_tile) / rows
    return padded / units / chip.calibrated.teng_macs_per_cycle


def vector_cycles(chip: Chip, operation: Operation, units: int) -> float:
    """Cycles of vector work on ``units`` TENG units; wider elements take proportionally longer.
    On integers a transcendental function is a table look-up. Neutron v4 has a slower path for
    16-bit integers: AX630C's U16 towers (P004, P144) take six times as long for a score as its U8
    towers (P002, P006), at 257 and at 1025 tokens alike; AX650N's take less than three times.
    Pooling is on the same path there: SqueezeNet and GoogLeNet (C023, C019), which pool much, come
    out a third and a fifth fast else.

    Softmax between two products on CONV is a stage of a pipeline, CONV to TENG to CONV, that scores
    pass tile by tile of keys: to fill and drain it takes the time of one tile more. Inferred:
    InternVL3.5-1B with float products on CONV (P046 to P054) takes 0.31 ms for each 128 keys and,
    beside these, 0.36 ms more than on TENG (P037 to P045), where nothing passes from unit to unit.
    P145 to P150 agree, and so do the integer towers, left out: on AX630C 5.8 % in place of 9.4."""
    calibrated = chip.calibrated
    function = LOOKUP_PASSES.get(operation.bits, calibrated.transcendental_passes)
    ops = operation.vector_ops + operation.transcendentals * function
    if operation.matmul is not None and operation.attention and operation.unit == "conv":
        ops *= 1 + chip.npu.attention_key_tile / operation.matmul.keys
    rate = calibrated.teng_bytes_per_cycle
    if operation.bits == 16 or operation.windows:
        rate = calibrated.teng_16bit_bytes_per_cycle or rate
    return ops * operation.bits / 8 / units / rate


def _whole(size: int, tile: int) -> int:
    """``size`` padded to whole tiles."""
    return -(-size // tile) * tile
