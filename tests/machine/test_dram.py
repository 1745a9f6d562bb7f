"""The shared DRAM interface, against closed forms."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from axsim.machine.dram import Dram


def ends(transfers: Sequence[tuple[float, float]], rate: float = 100.0) -> list[float]:
    """When each (start, size) has crossed an interface of ``rate`` bytes per microsecond."""
    dram = Dram(rate)
    found = [0.0] * len(transfers)
    coming = sorted((start, index) for index, (start, _) in enumerate(transfers))
    while coming or dram.due_us() < inf:
        if coming and coming[0][0] < dram.due_us():
            now, index = coming.pop(0)
            dram.open(index, transfers[index][1], now)
        else:
            now = dram.due_us()
            for index in dram.complete(now):
                found[index] = now
    return found


def fluid(transfers: Sequence[tuple[float, float]], rate: float) -> list[float]:
    """The same by stepping from event to event."""
    left = {index: size for index, (_, size) in enumerate(transfers)}
    found = [0.0] * len(transfers)
    now = 0.0
    while left:
        active = [index for index in left if transfers[index][0] <= now]
        coming = [transfers[index][0] for index in left if transfers[index][0] > now]
        if not active:
            now = min(coming)
            continue
        first = min(active, key=lambda index: left[index])
        done = now + left[first] * len(active) / rate
        then = min([done, *coming])
        for index in active:
            left[index] -= (then - now) * rate / len(active)
        if then == done:
            found[first] = then
            del left[first]
        now = then
    return found


@pytest.mark.parametrize(
    ("transfers", "expected"),
    [
        ([(0, 500)], [5]),
        ([(2, 500)], [7]),
        ([(0, 100), (0, 100)], [2, 2]),  # evenly shared
        ([(0, 100), (0, 300)], [2, 4]),  # the longer one has it all at the end
        ([(0, 100), (0.5, 100)], [1.5, 2]),  # half alone, half shared
        ([(0, 300), (1, 100), (1, 100)], [5, 4, 4]),
        ([(0, 100), (10, 100)], [1, 11]),  # one after the other
        ([(0, 100), (1, 100)], [1, 2]),
        ([(0, 100)] * 10, [10] * 10),
        ([(0, 0)], [0]),
    ],
)
def test_closed_forms(transfers: list[tuple[float, float]], expected: list[float]) -> None:
    assert ends(transfers) == pytest.approx(expected)


def test_nothing_is_due_when_nothing_is_open() -> None:
    dram = Dram(100)
    assert dram.due_us() == inf
    dram.open(7, 500, 1)
    assert dram.due_us() == 6
    assert dram.complete(6) == [7]
    assert dram.due_us() == inf


def test_twice_the_rate_takes_half() -> None:
    transfers = [(0.0, 100.0), (0.0, 250.0), (0.0, 700.0)]
    slow, fast = ends(transfers, 50), ends(transfers, 100)
    assert slow == pytest.approx([2 * each for each in fast])


SIZES = st.floats(1, 1e6)


@given(st.lists(st.tuples(st.floats(0, 1e4), SIZES), min_size=1, max_size=8), st.floats(1, 1e5))
def test_any_transfers_as_a_fluid(transfers: list[tuple[float, float]], rate: float) -> None:
    found = ends(transfers, rate)
    assert found == pytest.approx(fluid(transfers, rate), rel=1e-6, abs=1e-6 + 1e-5 / rate)
    for (start, size), end in zip(transfers, found, strict=True):
        assert end - start >= size / rate * (1 - 1e-9) - 1e-9


@given(st.lists(SIZES, min_size=1, max_size=8))
def test_no_bandwidth_is_wasted_or_made(sizes: list[float]) -> None:
    found = ends([(0.0, size) for size in sizes])
    assert max(found) == pytest.approx(sum(sizes) / 100)
    order = sorted(range(len(sizes)), key=lambda index: sizes[index])
    assert [found[index] for index in order] == sorted(found)


def test_weights_share_the_rate() -> None:
    """10 bytes a microsecond for weights of 1 and 3: 2.5 and 7.5, then all for who is left."""
    dram: Dram[str] = Dram(10.0)
    dram.open("light", 100, 0.0)
    dram.open("heavy", 75, 0.0, 3.0)
    assert dram.due_us() == pytest.approx(10)
    assert dram.complete(10.0) == ["heavy"]
    assert dram.due_us() == pytest.approx(10 + 7.5)
    dram.open("half", 25, 10.0, 0.5)
    # 6.67 and 3.33: both at 17.5 have 50 and 25 more or less
    assert dram.close("half", 13.0) == pytest.approx(25 - 3 * 10 / 3)
    assert dram.due_us() == pytest.approx(13 + (75 - 3 * 20 / 3) / 10)
