"""Percentiles of streams: exact for few values, near for many, in bounded memory."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from axsim.system.quantiles import ERROR, EXACT, Quantiles, enough


def counted(values: list[float]) -> Quantiles:
    found = Quantiles()
    for value in values:
        found.add(value)
    return found


@settings(max_examples=40)
@given(st.lists(st.floats(0, 1e9), min_size=1, max_size=60), st.integers(0, 100))
def test_few_values_are_as_numpy_has_them(values: list[float], percent: int) -> None:
    """A percentile is one of the values: the curve's step is there."""
    found = counted(values)
    rank, between = divmod(percent * len(values), 100)
    if between:
        expected = np.percentile(values, percent, method="inverted_cdf")
    else:  # where 0.56 of 25 values are more than 14 for older releases of numpy
        expected = sorted(values)[max(rank - 1, 0)]
    assert found.percentile(percent) == expected
    below = max((part for value, part in found.steps() if value < expected), default=0.0)
    assert below < percent / 100 or percent == 0
    assert dict(found.steps())[expected] >= percent / 100
    assert found.greatest == max(values)
    assert found.least == min(values)
    assert found.mean == pytest.approx(np.mean(values))


@pytest.mark.parametrize("kind", ["lognormal", "uniform", "two values", "with zeros"])
def test_many_values_are_near_their_rank(kind: str) -> None:
    random = np.random.default_rng(1)
    count = 3 * EXACT
    values = {
        "lognormal": random.lognormal(3, 2, count),
        "uniform": random.random(count),
        "two values": random.choice([1e-3, 1e6], count),
        "with zeros": random.choice([0.0, 5.0, 7.0], count),
    }[kind]
    found = counted(values.tolist())
    ranks = np.sort(values)
    for percent in (0, 1, 50, 90, 95, 99, 100):
        value = found.percentile(percent)
        expected = ranks[int(percent / 100 * (count - 1))]
        assert value == pytest.approx(expected, rel=1.001 * ERROR)
    assert found.greatest == values.max()
    assert found.to_dict()["count"] == count
    steps = found.steps()
    assert steps[-1][1] == 1
    assert [value for value, _ in steps] == sorted(value for value, _ in steps)


@pytest.mark.parametrize(("percent", "least"), [(50, 2), (90, 10), (95, 20), (99, 100)])
def test_few_values_do_not_tell_a_percentile(percent: int, least: int) -> None:
    for count in range(1, 2 * least):
        found = counted([float(value) for value in range(count)])
        assert enough(count, percent) == (count >= least)
        assert enough(count, percent) == (found.percentile(percent) < found.greatest)


def test_memory_does_not_grow_with_the_stream() -> None:
    found = counted(np.random.default_rng(0).lognormal(0, 1, 20_000).tolist())
    assert found._values is None
    assert len(found._classes) < 1000


def test_nothing_has_no_percentiles() -> None:
    assert counted([]).to_dict() == {
        "count": 0, "mean": 0.0, "p50": 0.0, "p90": 0.0, "p95": 0.0, "p99": 0.0, "max": 0.0,
    }  # fmt: skip
