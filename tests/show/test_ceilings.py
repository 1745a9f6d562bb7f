from __future__ import annotations

import pytest

import axsim
from axsim import InputError
from axsim.compiler.cost import BYTE_PLANES
from axsim.show.ceilings import ceilings, roofline_points

CHIPS = ("ax630c", "ax650n")


@pytest.fixture(scope="module", params=CHIPS)
def run(request):
    return axsim.run("internvl2_1b", request.param, timing_only=True)


def test_no_operator_is_above_the_roof(run) -> None:
    for variant in run:
        for stage in ("vision", "prefill", "decode", "post"):
            points = roofline_points(variant, [stage])
            roofs = ceilings(variant, (stage,))
            assert points
            bandwidth = variant.chip.sustained_gbps
            for point in points:
                assert point.intensity * bandwidth >= point.gops * (1 - 1e-9)
                if point.engine == "conv":
                    assert point.gops <= roofs[0].gops * (1 + 1e-9)


def test_points_hold_all_multiply_accumulates_of_a_stage(run) -> None:
    variant = run["448-u8"]
    macs = {stage.name: stage.macs for stage in variant.breakdown}
    for stage in ("vision", "prefill", "decode", "post"):
        points = [p for p in roofline_points(variant, [stage]) if p.operations and p.macs]
        assert sum(p.macs * p.repeats for p in points) == pytest.approx(macs[stage], rel=0.02)


def test_ceilings_follow_the_operand_types(run) -> None:
    chip = run[0].chip
    names = {each.name for each in ceilings(run["224-u8"], ("vision",))}
    assert names == {"CONV u8×s8"}
    (top, *_) = ceilings(run["224-u8"], ("vision",))
    groups = run["224-u8"].deployment.mode.groups
    macs = groups * chip.npu.conv_per_group * chip.int8_macs_per_cycle
    assert top.gops == pytest.approx(2e-3 * macs * chip.calibrated.clock_mhz)
    wide = ceilings(run["224-u16"], ("vision",))
    assert wide[0].gops == pytest.approx(top.gops * BYTE_PLANES / chip.npu.conv.int16_divisor)
    assert [each.name for each in ceilings(run["224-u8"], ("decode",))] == [
        "CONV bf16",
        "TENG bf16 matmul",
    ]


def test_equal_layers_are_one_point(run) -> None:
    points = roofline_points(run["448-u8"], ["vision"])
    # the first layer's input is placed beside the embedding, and may be spilled otherwise
    fc1 = [each for each in points if each.label == "mlp.fc1"]
    assert sorted(each.repeats for each in fc1) in ([24], [23], [1, 23])
    (head,) = roofline_points(run["448-u8"], ["post"])
    assert head.label == "lm_head"
    assert head.repeats == 1


def test_unknown_stage(run) -> None:
    with pytest.raises(InputError, match="did you mean 'prefill'"):
        roofline_points(run[0], ["prefil"])
