"""Amounts over time: nothing is lost between windows."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from axsim.system.usage import Meter, Moved, Usage

SPAN = st.tuples(st.floats(0, 150), st.floats(0, 60), st.floats(0, 1e6))


@settings(max_examples=40)
@given(st.lists(SPAN, max_size=20))
def test_all_of_it_is_somewhere(spans: list[tuple[float, float, float]]) -> None:
    meter = Meter(10.0, 10)
    for begin, length, amount in spans:
        meter.add(begin, begin + length, amount)
    assert meter.total == pytest.approx(sum(amount for _, _, amount in spans))
    assert min([*meter.amounts, meter.beyond]) >= 0


def test_it_is_where_it_was() -> None:
    meter = Meter(10.0, 3)
    meter.add(5, 25, 20)
    assert meter.amounts == pytest.approx([5, 10, 5])
    meter.add(28, 34, 6)
    assert (meter.amounts[2], meter.beyond) == pytest.approx((7, 4))
    meter.add(12, 12, 3)
    assert meter.amounts[1] == pytest.approx(13)
    meter.add(99, 101, 1)
    assert meter.beyond == pytest.approx(5)


def test_fractions() -> None:
    usage = Usage(100.0, 2)
    usage.npu["a", "x"].add(0, 50, 25)
    usage.npu["b", "x"].add(0, 100, 50)
    usage.cpu["a"].add(0, 100, 200)
    usage.moved("a", 50, 100, Moved(4e4, 5e4))
    assert usage.dram["a"].amounts == pytest.approx([0, 4e4])
    assert usage.of_partition("x") == pytest.approx([1.0, 0.5])
    assert usage.of_partition("y") == [0, 0]
    assert usage.of_cpu(4) == pytest.approx([0.5, 0.5])
    assert usage.of_dram(2.0) == pytest.approx([0, 0.5])
