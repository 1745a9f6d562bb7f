"""When requests come."""

from __future__ import annotations

from itertools import islice, pairwise
from pathlib import Path

import pytest

from axsim.errors import InputError
from axsim.spec.tenant import Arrivals
from axsim.system.arrivals import Arrival, arrivals, from_file, generator


def first(way: Arrivals, count: int, seed: int = 0) -> list[float]:
    return [each.us for each in islice(arrivals(way, generator(seed, "a")), count)]


def test_at_intervals() -> None:
    assert first(Arrivals(every_ms=2.5, start_ms=1.0), 3) == [1000, 3500, 6000]
    assert first(Arrivals(fps=50.0), 3) == [0, 20_000, 40_000]


def test_at_random_with_the_rate_asked_for() -> None:
    way = Arrivals(poisson_per_s=1000.0)
    times = first(way, 20_000)
    gaps = [after - before for before, after in pairwise(times)]
    mean = sum(gaps) / len(gaps)
    assert mean == pytest.approx(1000, rel=0.03)
    # an exponential distribution: its deviation is its mean, and a share of 1 / e is longer
    variance = sum((gap - mean) ** 2 for gap in gaps) / len(gaps)
    assert variance**0.5 == pytest.approx(mean, rel=0.03)
    assert sum(gap > mean for gap in gaps) / len(gaps) == pytest.approx(0.3679, abs=0.01)
    assert times == first(way, 20_000)
    assert times != first(way, 20_000, seed=1)


def test_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("\ufeffms,new_tokens\n1,\n1,5\n2.5,6\n", encoding="utf-8")
    assert from_file(path) == [Arrival(1e3), Arrival(1e3, None, 5), Arrival(2.5e3, None, 6)]
    assert first(Arrivals(csv=str(path), start_ms=1.0), 9) == [2e3, 2e3, 3.5e3]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ms\n-3\n", "a.csv:2: ms: an arrival in the past: -3 ms"),
        ("ms\n5\n4\n", "a.csv:3: ms: an arrival in the past: 4 ms, after 5 ms"),
        ("ms\n", "has no arrivals"),
        ("time\n3\n", "found the columns time; allowed: ms of ms, prompt_tokens"),
        ("ms,tokens\n3,4\n", "found the columns ms, tokens"),
        ("", "found the columns none"),
        ("ms\nnan\n", "a.csv:2: found 'nan'"),
        ("ms,new_tokens\n3,0\n", "a.csv:2: found '0'"),
        ("ms,ms\n3,4\n", "a.csv:1: found the columns ms, ms"),
        ("ms\n3\n4,5\n", "a.csv:3: has more cells than the 1 columns; allowed: ms"),
        ("ms,new_tokens\n3,1.5\n", "a.csv:2: found '1.5'"),
    ],
)
def test_bad_files(text: str, expected: str, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(text)
    with pytest.raises(InputError) as error:
        from_file(path)
    assert expected in str(error.value)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="can't be read: no such file"):
        from_file(tmp_path / "none.csv")
    path = tmp_path / "a.csv"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(InputError, match="not a text file"):
        from_file(path)
