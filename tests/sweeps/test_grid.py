import json

import pytest

import axsim
from axsim.sweeps.grid import grid, parse_vary
from tests.runtime.tiny import variants


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
    [("a", "not an assignment"), ("a=", "no values"), ("a..b=1", "not an assignment")],
)
def test_what_is_no_list_of_values_is_refused(setting: str, what: str) -> None:
    with pytest.raises(axsim.InputError, match=what):
        parse_vary([setting])


def test_a_key_is_varied_once() -> None:
    with pytest.raises(axsim.InputError, match="varied twice"):
        parse_vary(["a=1", "a=2"])


def test_points_are_all_combinations_chips_outermost() -> None:
    vary = {"request.new_tokens": [3, 4], "chip.dram.data_rate_mtps": [1000, 2000]}
    points = grid(variants(), ["ax630c", "ax650n"], vary, settings={"request.seed": 1})
    assert [each.chip_name for each in points] == ["ax630c"] * 4 + ["ax650n"] * 4
    settings = [json.loads(each.settings) for each in points]
    assert [tuple(each.values()) for each in settings[:4]] == [
        (1, 3, 1000),
        (1, 3, 2000),
        (1, 4, 1000),
        (1, 4, 2000),
    ]
    assert len({each.key for each in points}) == 8


def test_a_key_that_does_not_exist_is_refused_with_the_nearest() -> None:
    with pytest.raises(axsim.InputError, match="vision_dtype"):
        grid(variants(), ["ax630c"], {"build.vision_dtpye": ["u8"]}, settings={})
    with pytest.raises(axsim.InputError, match=r"chip\.dram\.data_rate_mtps|data_rate_mtps"):
        grid(variants(), ["ax630c"], {"chip.dram.data_rate": [1]}, settings={})


def test_a_key_is_varied_or_set() -> None:
    with pytest.raises(axsim.InputError, match="varied and set"):
        grid(variants(), ["ax630c"], {"request.seed": [1]}, settings={"request.seed": 2})
