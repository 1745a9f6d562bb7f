"""Engine cycles: rates by operand type, array fill, padding, S4 expansion, vector widths."""

from __future__ import annotations

from dataclasses import replace

import pytest

from axsim.compiler.cost import (
    LOOKUP_PASSES,
    conv_cycles,
    macs_per_cycle,
    teng_matmul_cycles,
    vector_cycles,
)
from axsim.compiler.lower import Matmul, lower
from axsim.spec.chip import load_chip
from tests.compiler.small import tower

# Round numbers: 1000 MACs per cycle, 32 bytes of the right operand per cycle and group.
CHIP = load_chip(
    "ax650n",
    {
        "npu.conv.int8_macs_per_cycle": 1000,
        "npu.conv.int16_divisor": 4,
        "calibrated.bf16_divisor": 5,
        "npu.conv.fill_bytes_per_cycle": 32,
        "npu.conv.pack16_bytes_per_cycle": 10,
        "calibrated.s4_elements_per_cycle": 8,
        "calibrated.teng_macs_per_cycle": 10,
        "calibrated.teng_bytes_per_cycle": 16,
        "calibrated.transcendental_passes": 6,
    },
)
PROJECTION = Matmul(1, 256, 512, 384, "u8", "s8", True)
SCORES = Matmul(2, 7 * 128, 64, 256, "bf16", "bf16", False, 128)


@pytest.mark.parametrize(
    ("left", "right", "rate"),
    [
        ("u8", "s8", 1000),
        ("u8", "u8", 1000),
        ("u16", "s8", 500),  # two byte planes of the four
        ("u16", "u16", 250),  # int16_divisor
        ("s16", "s16", 250),
        ("bf16", "s8", 200),  # bf16_divisor, whatever the weights
        ("bf16", "s4", 200),
        ("bf16", "bf16", 200),
    ],
)
def test_rates_by_operand_types(left: str, right: str, rate: float) -> None:
    assert macs_per_cycle(CHIP, replace(PROJECTION, left=left, right=right)) == rate


def test_a_product_takes_its_macs_and_the_fill() -> None:
    # 6 units of 64 columns; each of 3 groups loads a third of 512 x 384 bytes
    expected = 256 * 512 * 384 / 6 / 1000 + 512 * 384 / 3 / 32
    assert conv_cycles(CHIP, PROJECTION, 6) == pytest.approx(expected)


def test_fill_does_not_depend_on_the_rows() -> None:
    one, many = (conv_cycles(CHIP, replace(PROJECTION, rows=n), 6) for n in (1, 1001))
    assert many - one == pytest.approx(1000 * 512 * 384 / 6 / 1000)
    assert one > 0.95 * 512 * 384 / 3 / 32


def test_a_wide_right_operand_fills_twice_as_long() -> None:
    narrow, wide = (
        conv_cycles(CHIP, replace(PROJECTION, rows=1, left="bf16", right=right), 6)
        for right in ("s8", "bf16")
    )
    assert wide - narrow == pytest.approx(512 * 384 / 3 / 32)


@pytest.mark.parametrize(
    ("columns", "padded"),
    [
        (384, 384),  # 64 a unit
        (16, 96),  # one unit's 16 columns hold up the others
        (100, 192),  # 17 a unit, made as 32
        (97, 192),
        (96, 96),
    ],
)
def test_columns_are_padded_to_what_the_array_makes_at_once(columns: int, padded: int) -> None:
    fill = 512 * columns / 3 / 32
    found = conv_cycles(CHIP, replace(PROJECTION, columns=columns), 6) - fill
    assert found == pytest.approx(256 * 512 * padded / 6 / 1000)


def test_products_of_a_batch_are_shared_without_padding() -> None:
    batch = replace(PROJECTION, batch=16, columns=17, right="u8", right_is_weight=False)
    fill = 16 * 512 * 17 / 3 / 32
    assert conv_cycles(CHIP, batch, 6) == pytest.approx(batch.macs / 6 / 1000 + fill)


def test_s4_weights_are_expanded_in_place_of_the_fill() -> None:
    s4 = replace(PROJECTION, left="bf16", right="s4")
    found = conv_cycles(CHIP, s4, 6)
    assert found == pytest.approx(PROJECTION.macs / 6 / 200 + 4 * 512 * 384 / 6 / 8)
    assert found > conv_cycles(CHIP, replace(s4, right="s8"), 6)


def test_weights_that_are_loaded_in_turn_fill_the_array_as_they_arrive() -> None:
    product = replace(PROJECTION, left="bf16")
    assert product.loads_in_turn
    assert conv_cycles(CHIP, product, 6) == pytest.approx(product.macs / 6 / 200)
    for other in (replace(product, rows=1), replace(product, right_is_weight=False)):
        assert not other.loads_in_turn
        assert conv_cycles(CHIP, other, 6) > other.macs / 6 / 200 + 512 * 384 / 3 / 32 - 1


def test_s4_weights_are_expanded_once_for_every_64_rows() -> None:
    s4 = replace(PROJECTION, left="bf16", right="s4")
    expansion = 512 * 384 / 6 / 8
    for rows, times in ((1, 1), (64, 1), (65, 2), (128, 2)):
        product = rows * 512 * 384 / 6 / 200
        found = conv_cycles(CHIP, replace(s4, rows=rows), 6)
        assert found == pytest.approx(product + times * expansion)


def test_without_a_rate_of_their_own_s4_weights_fill_the_array_as_bytes() -> None:
    chip = load_chip("ax650n", {"calibrated.bf16_divisor": 5})
    assert chip.calibrated.s4_elements_per_cycle is None
    s4, s8 = (replace(PROJECTION, left="bf16", right=right) for right in ("s4", "s8"))
    assert conv_cycles(chip, s4, 6) == conv_cycles(chip, s8, 6)


def test_float_products_of_more_rows_than_fit_are_slower_for_all_of_them() -> None:
    chip = load_chip("ax630c", {"npu.conv.bf16_rows": 128, "calibrated.bf16_overflow": 2})
    product = replace(PROJECTION, left="bf16")
    few, many = (conv_cycles(chip, replace(product, rows=n), 1) for n in (128, 256))
    assert many == pytest.approx(4 * few)
    # integers, and products of two activations, are not
    for other in (PROJECTION, replace(product, right="bf16", right_is_weight=False)):
        one, two, four = (conv_cycles(chip, replace(other, rows=n), 1) for n in (1000, 2000, 4000))
        assert four - two == pytest.approx(2 * (two - one))


def test_a_wide_operand_made_at_run_time_is_split_first() -> None:
    few = Matmul(1, 4, 512, 384, "u16", "u16", False)
    split = 512 * 384 * 2 / 3 / 10
    assert conv_cycles(CHIP, few, 6) == pytest.approx(split)
    assert conv_cycles(CHIP, replace(few, right_is_weight=True), 6) < split
    many = replace(few, rows=4096)  # computing takes longer than splitting
    expected = many.macs / 6 / 250 + 512 * 384 * 2 / 3 / 32
    assert conv_cycles(CHIP, many, 6) == pytest.approx(expected)


def test_float_products_pad_keys_and_rows_to_attention_tiles() -> None:
    # tiles of 128 keys and 64 rows
    assert teng_matmul_cycles(CHIP, SCORES, 3) == pytest.approx(SCORES.macs / 3 / 10)
    assert teng_matmul_cycles(CHIP, replace(SCORES, columns=257), 3) == pytest.approx(
        2 * 7 * 128 * 64 * 384 / 3 / 10
    )
    context = replace(SCORES, inner=257, columns=64)
    assert teng_matmul_cycles(CHIP, context, 3) == pytest.approx(2 * 7 * 128 * 64 * 384 / 3 / 10)
    rows = replace(SCORES, rows=7 * 65, rows_per_head=65)
    assert teng_matmul_cycles(CHIP, rows, 3) == pytest.approx(SCORES.macs / 3 / 10)


def test_float_products_pad_the_width_of_heads_to_attention_tiles() -> None:
    wide, odd = (replace(SCORES, inner=n) for n in (128, 96))
    assert teng_matmul_cycles(CHIP, odd, 3) == teng_matmul_cycles(CHIP, wide, 3)
    context = replace(SCORES, inner=256, columns=96)
    assert teng_matmul_cycles(CHIP, context, 3) == teng_matmul_cycles(CHIP, wide, 3)


def test_16_bit_integers_have_a_rate_of_their_own_where_a_chip_says_so() -> None:
    slow = load_chip(
        "ax630c",
        {"calibrated.teng_bytes_per_cycle": 16, "calibrated.teng_16bit_bytes_per_cycle": 4},
    )
    for dtype, rate in (("u8", 16), ("u16", 4), ("bf16", 16)):
        scale = next(each for each in lower(tower(dtype)).operations if "scale" in each.label)
        operation = replace(scale, vector_ops=1000, transcendentals=0)
        expected = 1000 * operation.bits / 8 / rate
        assert vector_cycles(slow, operation, 1) == pytest.approx(expected)


def test_softmax_between_products_on_conv_takes_a_tile_of_keys_more() -> None:
    floats, integers = lower(tower("bf16")), lower(tower("u8"))
    for lowered, unit, tiles in ((floats, "teng", 0), (integers, "conv", 1)):
        scores = next(each for each in lowered.operations if each.attention)
        assert scores.unit == unit
        assert scores.matmul is not None
        for keys in (128, 1024):
            product = replace(scores.matmul, columns=keys)
            operation = replace(scores, matmul=product, vector_ops=keys, transcendentals=0)
            expected = (keys + tiles * 128) * scores.bits / 8 / 16
            assert vector_cycles(CHIP, operation, 1) == pytest.approx(expected)


def test_a_single_row_of_decode_is_not_padded() -> None:
    decode = replace(SCORES, rows=7, rows_per_head=1, columns=1024)
    assert teng_matmul_cycles(CHIP, decode, 3) == pytest.approx(decode.macs / 3 / 10)


@pytest.mark.parametrize("function", [conv_cycles, teng_matmul_cycles])
def test_twice_the_units_take_half(function) -> None:  # type: ignore[no-untyped-def]
    matmul = replace(PROJECTION, columns=3840)
    assert function(CHIP, matmul, 2) == pytest.approx(2 * function(CHIP, matmul, 4))


@pytest.mark.parametrize(
    ("bits", "function"), [(8, LOOKUP_PASSES[8]), (16, LOOKUP_PASSES[16]), (32, 6)]
)
def test_vector_work_by_width_and_function(bits: int, function: float) -> None:
    width = {8: "u8", 16: "u16", 32: "bf16"}[bits]
    gelu = next(each for each in lower(tower(width)).operations if each.label == "mlp1.1")
    operation = replace(gelu, vector_ops=1000, transcendentals=100)
    assert operation.bits == bits
    expected = (1000 + 100 * function) * bits / 8 / 2 / 16
    assert vector_cycles(CHIP, operation, 2) == pytest.approx(expected)
