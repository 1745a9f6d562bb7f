from __future__ import annotations

import json
import logging
import sys
import warnings

import pytest

import axsim
from axsim import InputError
from axsim.study.executors import Here
from axsim.study.grid import space
from axsim.study.objective import Goal
from axsim.study.search import INFEASIBLE, explore, losses
from tests.runs.tiny import variants

pytest.importorskip("optuna")

VARY = {
    "build.prefill_chunk": list(range(1, 41)),
    "chip.dram.data_rate_mtps": [400 * each for each in range(1, 11)],
    "build.vision_dtype": ["u8", "u16"],
}


def settings_of(rows) -> list[dict]:
    return [{key: row[0][key] for key in VARY} for row in rows]


def bowl(points):
    """Least at a chunk of 29, 2400 MT/s, u16; a chunk below 3 is an error."""
    found = []
    for point in points:
        keys = json.loads(point.settings)
        chunk, rate = keys["build.prefill_chunk"], keys["chip.dram.data_rate_mtps"]
        loss = (chunk - 29) ** 2 + (rate / 400 - 6) ** 2 + 20 * (keys["build.vision_dtype"] == "u8")
        error = "too small" if chunk < 3 else None
        found.append([{**keys, "ttft_ms": loss, "token_ms": 100 - chunk, "error": error}])
    return found


@pytest.fixture
def where():
    return space(variants(), ["ax630c"], VARY, settings={}, timing_only=True)


def test_it_comes_near_the_best_of_a_large_space(where) -> None:
    assert len(where) == 800
    rows = explore(where, Goal.parse("ttft_ms"), 120, 1, bowl)
    assert len(rows) == 120
    losses = [row[0]["ttft_ms"] for row in rows]
    better = sum(row[0]["ttft_ms"] <= min(losses) for row in bowl(list(where)))
    assert better <= 8  # among the best hundredth


def test_no_point_is_tried_twice_and_seeds_decide(where) -> None:
    goal = Goal.parse("ttft_ms")
    first = settings_of(explore(where, goal, 50, 7, bowl))
    assert len({json.dumps(each) for each in first}) == 50
    assert settings_of(explore(where, goal, 50, 7, bowl)) == first
    assert settings_of(explore(where, goal, 50, 8, bowl)) != first


def test_it_finds_the_best_that_meets_the_constraints(where) -> None:
    goal = Goal.parse("ttft_ms", "build.prefill_chunk<=15")
    rows = explore(where, goal, 100, 0, bowl)
    best = goal.leaders([row[0] for row in rows])[0]
    assert best["build.prefill_chunk"] in (13, 14, 15)


def test_losses_put_feasible_points_first(where) -> None:
    goal = Goal.parse("max:ttft_ms", "ttft_ms<=10")
    assert losses([{"ttft_ms": 3, "error": None}, {"ttft_ms": 7, "error": None}], goal) == [-7.0]
    near, far = ([{"ttft_ms": value, "error": None}] for value in (11, 1000))
    broken = [{"ttft_ms": None, "error": "it broke"}]
    assert INFEASIBLE < losses(near, goal)[0] < losses(far, goal)[0] < losses(broken, goal)[0]


def test_a_space_that_is_small_is_computed_whole() -> None:
    small = space(
        variants(), ["ax630c"], {"build.prefill_chunk": [4, 8, 16]}, settings={}, timing_only=True
    )
    done = []
    rows = explore(
        small, Goal.parse("ttft_ms"), 50, 0, bowl_of_chunks, lambda *each: done.append(each)
    )
    assert sorted(row[0]["build.prefill_chunk"] for row in rows) == [4, 8, 16]
    assert done[0] == (0, 3)
    assert done[-1] == (3, 3)


def bowl_of_chunks(points):
    chunks = [json.loads(point.settings)["build.prefill_chunk"] for point in points]
    return [[{"build.prefill_chunk": each, "ttft_ms": each, "error": None}] for each in chunks]


def test_search_gives_the_rows_of_a_sweep_and_journals_them(tmp_path, caplog) -> None:
    vary = {"build.prefill_chunk": [2, 4, 8, 16], "request.new_tokens": [2, 3, 4, 5]}
    arguments = (variants(), ["ax630c", "ax650n"], vary, ["ttft_ms"], "chip==ax650n")
    journal = tmp_path / "journal"
    with warnings.catch_warnings(), caplog.at_level(logging.INFO):
        warnings.simplefilter("error")
        found = axsim.search(
            *arguments, trials=12, timing_only=True, executor=Here(), journal=journal
        )
    assert not caplog.records
    assert len(found) == 24
    assert len(journal.read_text().splitlines()) == 12
    every = axsim.sweep(*arguments[:3], timing_only=True, executor=Here())
    keys = ["chip", "variant", *vary]
    known = every.set_index(keys)["ttft_ms"]
    for row in found.to_dict("records"):
        assert row["ttft_ms"] == known[tuple(row[key] for key in keys)]
    lines = journal.read_text().splitlines()
    journal.write_text("\n".join(lines[:5]) + "\n")  # as if it had been killed
    again = axsim.search(*arguments, trials=12, timing_only=True, executor=Here(), journal=journal)
    assert again.equals(found)
    assert journal.read_text().splitlines() == lines


def test_wrong_goals_are_told_before_anything_is_computed() -> None:
    with pytest.raises(InputError, match="did you mean 'ttft_ms'"):
        axsim.search(variants(), "ax630c", {}, "tft_ms", timing_only=True, executor=None)
    with pytest.raises(InputError, match="needs the kernels"):
        axsim.search(variants(), "ax630c", {}, "cosine", timing_only=True, executor=None)


def test_a_missing_optimizer_is_told(where, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(InputError, match=r"pip install 'axsim\[search\]'"):
        explore(where, Goal.parse("ttft_ms"), 10, 0, bowl)
