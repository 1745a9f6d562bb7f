import pytest

from axsim.study.changes import Change, compare_groups, different, flatten


def test_flatten() -> None:
    assert flatten({"a": {"b": [1, {"c": None}]}, "d": "x"}) == {
        "a.b.0": 1,
        "a.b.1.c": None,
        "d": "x",
    }


def test_differences_have_the_largest_first_and_leave_equals_out() -> None:
    before = {"v": {"a": 1.0, "b": 2.0, "c": 3.0}, "gone": {"a": 1.0}}
    after = {"v": {"a": 1.1, "b": 1.0, "c": 3.0}, "new": {"a": 1.0}}
    found = different(compare_groups(before, after))
    assert [(each.where, each.name) for each in found] == [
        ("v", "b"),
        ("v", "a"),
        ("gone", "a"),
        ("new", "a"),
    ]
    assert [each.ratio for each in found] == [-0.5, pytest.approx(0.1), None, None]


def test_only_numbers_have_a_ratio() -> None:
    assert Change("", "", 0, 0).ratio == 0
    assert Change("", "", 0, 1).ratio is None
    assert Change("", "", "a", "b").ratio is None
    assert Change("", "", True, 2).ratio is None
