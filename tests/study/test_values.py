"""Values of varied keys."""

from __future__ import annotations

import json

import pytest

import axsim
from axsim.study.grid import grid
from axsim.study.values import parse_vary
from tests.runs.tiny import variants


def test_values_have_yaml_types_and_ranges_both_ends() -> None:
    found = parse_vary(
        ["a.b=u8,1,1.5,true", "c=[1, 2],{x: 3}", "d=2133..4267:3", "e=224..448:9", "f=-1.5..1:2"]
    )
    assert found == {
        "a.b": ["u8", 1, 1.5, True],
        "c": [(1, 2), {"x": 3}],
        "d": [2133, 3200, 4267],
        "e": [224, 252, 280, 308, 336, 364, 392, 420, 448],
        "f": [-1.5, 1],
    }
    assert all(isinstance(each, int) for each in found["e"])


@pytest.mark.parametrize(
    ("setting", "what"),
    [
        ("a", "not an assignment"),
        ("a=", "no values"),
        ("a..b=1", "not an assignment"),
        ("a=s8,s4,s8", "'s8' is given twice"),
    ],
)
def test_what_is_no_list_of_values_is_refused(setting: str, what: str) -> None:
    with pytest.raises(axsim.InputError, match=what):
        parse_vary([setting])


def test_a_key_is_varied_once() -> None:
    with pytest.raises(axsim.InputError, match="varied twice"):
        parse_vary(["a=1", "a=2"])


def values_of(*vary: str, key: str) -> list[object]:
    points = grid(variants(), ["ax630c"], parse_vary(vary), settings={})
    return [json.loads(each.settings)[key] for each in points]


def test_ranges_give_whole_numbers_where_these_are_due() -> None:
    found = values_of("request.text_tokens=10..101:4", key="request.text_tokens")
    assert found == [10, 40, 71, 101]
    assert all(type(each) is int for each in found)
    few = values_of("chip.npu.ocm_bytes=1000..1002:5", key="chip.npu.ocm_bytes")
    assert few == [1000, 1001, 1002]  # 1000.5 and 1001.5 go to their even neighbours, once
    rates = values_of("chip.dram.data_rate_mtps=2133..4267:5", key="chip.dram.data_rate_mtps")
    assert rates == [2133, 2666.5, 3200, 3733.5, 4267]


@pytest.mark.parametrize(
    ("vary", "message"),
    [
        ("request.text_tokens=10,10.5", "text_tokens=10.5: .*found 10.5; .*a whole number"),
        ("request.text_tokens=10.5..11:1", "found 10.5; .*a whole number"),
        ("request.text_tokens=-1..1:3", "found -1; allowed: a number greater than 0"),
        ("build.vision_dtype=u8,u9", "--vary build.vision_dtype=u9: .*allowed: u8, u16, bf16"),
        ("chip.npu.ocm_bytes=1e3", r"--vary chip\.npu\.ocm_bytes=1000\.0: .*a whole number"),
        ("chip.dram.row_tile_efficiency=0.5,1.5", "at most 1"),
        ("request.stop_at_eos=1", "true or false"),
    ],
)
def test_a_value_that_no_point_can_have_is_refused(vary: str, message: str) -> None:
    with pytest.raises(axsim.InputError, match=message):
        grid(variants(), ["ax630c"], parse_vary([vary]), settings={})


def test_all_keys_that_are_wrong_are_told_but_not_all_their_values() -> None:
    vary = parse_vary(["build.vision_dtype=u9", "chip.cpu.cores=0.1,0.2,0.3,0.4,0.5", "a.b=1"])
    with pytest.raises(axsim.InputError) as error:
        grid(variants(), ["ax630c"], vary, settings={})
    keys = [problem.where.partition("=")[0] for problem in error.value.problems]
    assert keys == ["--vary chip.cpu.cores"] * 3 + ["--vary build.vision_dtype", "--vary a.b"]


def test_a_value_that_is_set_is_checked_too() -> None:
    with pytest.raises(axsim.InputError, match=r"--set request\.seed=0\.5: .*a whole number"):
        grid(variants(), ["ax630c"], {"request.new_tokens": [1]}, settings={"request.seed": 0.5})


def test_what_other_keys_forbid_is_left_to_the_points() -> None:
    assert values_of("request.image_size=28,30", key="request.image_size") == [28, 30]
    assert values_of("build.kv_cache_len=1", key="build.kv_cache_len") == [1]
    # one token or several end an answer
    assert values_of("request.eos_token_id=1,[1, 2]", key="request.eos_token_id") == [1, [1, 2]]


def test_numpy_numbers_are_numbers() -> None:
    numpy = pytest.importorskip("numpy")
    vary = {"request.new_tokens": numpy.arange(1, 3), "chip.cpu.clock_mhz": numpy.ones(1)}
    points = grid(variants(), ["ax630c"], {key: list(v) for key, v in vary.items()}, settings={})
    assert [json.loads(each.settings) for each in points] == [
        {"request.new_tokens": 1, "chip.cpu.clock_mhz": 1.0},
        {"request.new_tokens": 2, "chip.cpu.clock_mhz": 1.0},
    ]
