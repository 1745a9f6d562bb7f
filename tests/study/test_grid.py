import json

import pytest

import axsim
from axsim.study.grid import grid
from tests.runs.tiny import variants


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
