from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import axsim
from axsim import InputError
from axsim.study.pareto import non_dominated

NUMBER = st.one_of(
    st.integers(-3, 3).map(float), st.floats(allow_nan=True, allow_infinity=True, width=16)
)
TABLES = st.integers(1, 4).flatmap(
    lambda width: st.lists(st.lists(NUMBER, min_size=width, max_size=width), max_size=25)
)


def dominates(a: list[float], b: list[float]) -> bool:
    return all(x <= y for x, y in zip(a, b, strict=True)) and a != b


@settings(deadline=None)
@given(TABLES)
def test_exactly_the_rows_that_none_dominates(rows: list[list[float]]) -> None:
    values = np.array(rows, dtype=float).reshape(len(rows), len(rows[0]) if rows else 1)
    known = [row for row in rows if not any(np.isnan(row))]
    expected = [
        not any(np.isnan(row)) and not any(dominates(other, row) for other in known) for row in rows
    ]
    assert non_dominated(values).tolist() == expected


@settings(deadline=None)
@given(TABLES.filter(bool))
def test_maximising_is_minimising_the_negative(rows: list[list[float]]) -> None:
    frame = pd.DataFrame(rows, columns=[f"c{index}" for index in range(len(rows[0]))])
    names = list(frame.columns)
    least = axsim.pareto(frame, minimise=names[:1], maximise=names[1:])
    turned = axsim.pareto(-frame, minimise=names[1:], maximise=names[:1])
    assert list(least.index) == list(turned.index)


def test_rows_keep_their_order_index_and_columns() -> None:
    frame = pd.DataFrame(
        {"ms": [3, 1, 2, 1, 9], "cosine": [0.9, 0.5, 0.9, 0.5, 0.9], "name": list("abcde")},
        index=[10, 20, 30, 40, 50],
    )
    found = axsim.pareto(frame, minimise="ms", maximise="cosine")
    assert found.to_dict("index") == {
        20: {"ms": 1, "cosine": 0.5, "name": "b"},
        30: {"ms": 2, "cosine": 0.9, "name": "c"},
        40: {"ms": 1, "cosine": 0.5, "name": "d"},
    }


def test_rows_with_errors_or_without_numbers_neither_stay_nor_dominate() -> None:
    frame = pd.DataFrame(
        {"ms": [1, 2, None, 3], "mb": [1, None, 1, 3], "error": ["broken", None, None, np.nan]}
    )
    assert list(axsim.pareto(frame, minimise=["ms", "mb"]).index) == [3]


def test_nothing_is_left_of_nothing() -> None:
    frame = pd.DataFrame({"ms": [], "mb": []})
    assert axsim.pareto(frame, minimise=["ms", "mb"]).empty


@pytest.mark.parametrize(
    ("minimise", "maximise", "message"),
    [
        ([], [], "needs a column"),
        (["tftt_ms"], [], "did you mean 'ttft_ms'"),
        (["ttft_ms"], ["ttft_ms"], "named twice"),
        (["chip"], [], "no numbers"),
    ],
)
def test_wrong_columns_are_named(minimise, maximise, message) -> None:
    frame = pd.DataFrame({"ttft_ms": [1.0], "chip": ["ax630c"]})
    with pytest.raises(InputError, match=message):
        axsim.pareto(frame, minimise=minimise, maximise=maximise)
