from __future__ import annotations

from operator import ge, gt, le, lt

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import axsim
from axsim import InputError
from axsim.study.objective import Constraint, Goal, Objective, parse_constraint, parse_objective

COMPARE = {">=": ge, "<=": le, ">": gt, "<": lt}

ROWS = [
    {"chip": "a", "ttft_ms": 9.0, "cosine": 0.999, "fits": True, "error": None},
    {"chip": "b", "ttft_ms": 4.0, "cosine": 0.991, "fits": True, "error": None},
    {"chip": "c", "ttft_ms": 3.0, "cosine": 0.95, "fits": True, "error": None},
    {"chip": "d", "ttft_ms": 1.0, "cosine": 0.999, "fits": False, "error": None},
    {"chip": "e", "ttft_ms": None, "cosine": 1.0, "fits": True, "error": None},
    {"chip": "f", "ttft_ms": 0.1, "cosine": 1.0, "fits": True, "error": "it broke"},
    {"chip": "g", "ttft_ms": 5.0, "cosine": 0.9905, "fits": True, "error": None},
]


def names(rows) -> str:
    return "".join(row["chip"] for row in rows)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ttft_ms", Objective("ttft_ms", "min")),
        ("weights_bytes", Objective("weights_bytes", "min")),
        ("cosine", Objective("cosine", "max")),
        ("decode_tokens_per_s", Objective("decode_tokens_per_s", "max")),
        ("decode_tokens_per_s_low", Objective("decode_tokens_per_s_low", "max")),
        ("max:ttft_ms", Objective("ttft_ms", "max")),
        ("min: images", Objective("images", "min")),
    ],
)
def test_objectives_know_their_direction(text, expected) -> None:
    assert parse_objective(text) == expected


@pytest.mark.parametrize("text", ["images", "least:ttft_ms", "min:", ""])
def test_what_is_no_objective(text) -> None:
    with pytest.raises(InputError, match="min:"):
        parse_objective(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("cosine>=0.99", Constraint("cosine", ">=", 0.99)),
        (" ttft_ms < 1e3 ", Constraint("ttft_ms", "<", 1000.0)),
        ("chip.dram.peak_gbps<=12", Constraint("chip.dram.peak_gbps", "<=", 12.0)),
        ("chip==ax630c", Constraint("chip", "==", "ax630c")),
        ("fits == true", Constraint("fits", "==", True)),
        ("images!=2", Constraint("images", "!=", 2.0)),
    ],
)
def test_constraints(text, expected) -> None:
    assert parse_constraint(text) == expected


@pytest.mark.parametrize(
    "text", ["cosine", "cosine>=", ">=1", "cosine=>1", "a=1", "a~1", "chip<=ax630c", "a==[1]"]
)
def test_what_is_no_constraint(text) -> None:
    with pytest.raises(InputError, match=r"--constraint"):
        parse_constraint(text)


@settings(deadline=None)
@given(
    st.one_of(st.none(), st.floats(), st.integers(-5, 5), st.booleans(), st.sampled_from("ab")),
    st.sampled_from([">=", "<=", "==", "!=", ">", "<"]),
    st.floats(-5, 5),
)
def test_a_row_meets_a_constraint_or_violates_it(found, operator, value) -> None:
    constraint = Constraint("x", operator, value)
    assert constraint.holds({"x": found}) == (constraint.violation({"x": found}) == 0)
    number = isinstance(found, float | int) and not isinstance(found, bool) and found == found
    if operator not in ("==", "!="):
        assert constraint.holds({"x": found}) == (number and COMPARE[operator](found, value))


def test_one_objective_sorts_what_is_feasible() -> None:
    goal = Goal.parse("ttft_ms", ["cosine>=0.99", "fits==true"])
    assert names(goal.leaders(ROWS)) == "bga"
    assert names(Goal.parse("max:ttft_ms").leaders(ROWS)) == "agbcd"


def test_several_objectives_leave_the_front() -> None:
    assert names(Goal.parse(["ttft_ms", "cosine"], "fits==true").leaders(ROWS)) == "cba"
    assert names(Goal.parse(["cosine", "ttft_ms"], "fits==true").leaders(ROWS)) == "abc"


def test_nobody_leads_when_nobody_is_feasible() -> None:
    assert Goal.parse("ttft_ms", "cosine>1").leaders(ROWS) == []


def test_columns_are_checked_before_the_run() -> None:
    goal = Goal.parse("ttft_ms", "cosine>=0.99")
    goal.check(["ttft_ms", "cosine"])
    with pytest.raises(InputError, match="needs the kernels"):
        goal.check(["ttft_ms", "cosine"], timing_only=True)
    with pytest.raises(InputError, match="did you mean 'ttft_ms'"):
        Goal.parse("tft_ms").check(["ttft_ms", "cosine"])
    with pytest.raises(InputError, match="needs an objective"):
        Goal.parse([], "cosine>=0.99")


def test_best_rows_of_a_frame() -> None:
    frame = pd.DataFrame(ROWS, index=list("tuvwxyz"))
    found = axsim.best(frame, "ttft_ms", "cosine>=0.99")
    assert list(found.index) == ["w", "u", "z", "t"]
    assert list(found.columns) == list(frame.columns)
    assert axsim.best(frame, "ttft_ms", "cosine>2").empty
    assert axsim.best(frame.drop(columns="error"), "ttft_ms").index[0] == "y"
    with pytest.raises(InputError, match="no numbers"):
        axsim.best(frame, "min:chip")
