from __future__ import annotations

import json
from concurrent.futures import Executor, Future, ThreadPoolExecutor

import pytest

import axsim
from axsim.study.executors import Here
from axsim.study.grid import grid
from axsim.study.journal import Journal
from axsim.study.point import evaluate
from axsim.study.sweep import columns, compute, table
from tests.runs.tiny import variants

VARY = {
    "chip.dram.data_rate_mtps": [1600, 3200],
    "chip.cpu.clock_mhz": [800.0, 1200.0],
    "build.prefill_chunk": [4, 8],
}


def rows_of(vary, executor: Executor | None = None, journal: Journal | None = None, **options):
    points = grid(variants(), ["ax630c"], vary, settings={}, timing_only=True, **options)
    return table(compute(points, executor or Here(), journal), list(vary))


def test_every_row_is_what_run_predicts() -> None:
    rows = rows_of(VARY)
    assert len(rows) == 16
    for row in rows:
        overrides = {key: row[key] for key in VARY}
        run = axsim.run(variants(), "ax630c", overrides=overrides, timing_only=True)
        expected = json.loads(json.dumps(run[row["variant"]].to_row()))
        assert {key: row[key] for key in expected} == expected
        assert row["error"] is None


def test_columns_begin_with_what_was_asked_and_end_with_the_error() -> None:
    first = list(rows_of(VARY)[0])
    assert first[:5] == ["chip", "variant", *VARY]
    assert first[-1] == "error"


def test_a_varied_key_replaces_what_variants_set() -> None:
    chunks = {"build.prefill_chunk": [32, 64, 128, 256]}  # 128 is what two of the variants set
    points = grid("internvl2_1b", ["ax650n", "ax630c"], chunks, settings={}, timing_only=True)
    rows = table(compute(points, Here()), list(chunks))
    assert len(rows) == 2 * 4 * 4
    assert all(row["error"] is None for row in rows)
    found = [(row["variant"], row["prefill_chunk"]) for row in rows[:12]]
    assert found[8:] == [
        ("224-u8", 128),
        ("224-u16", 128),
        ("448-u8-128", 128),
        ("448-u16-128", 128),
    ]


def test_variants_that_become_the_same_are_there_once() -> None:
    rows = rows_of({"build.vision_dtype": ["u16", "u8"]})
    assert [(row["variant"], row["vision_dtype"]) for row in rows] == [("u16", "u16"), ("u8", "u8")]


def test_chosen_variants_keep_their_own_keys() -> None:
    rows = rows_of({"request.new_tokens": [2, 3]}, variants=["u16"])
    assert [(r["variant"], r["vision_dtype"], r["new_tokens"]) for r in rows] == [
        ("u16", "u16", 2),
        ("u16", "u16", 3),
    ]


def test_a_failed_point_is_a_row_and_the_rest_go_on() -> None:
    rows = rows_of({"request.image_size": [28, 30, 56]})
    assert [(row["request.image_size"], row["error"] is None) for row in rows] == [
        (28, True),
        (28, True),
        (30, False),
        (56, True),
        (56, True),
    ]
    assert "a multiple of 28" in rows[2]["error"]
    assert rows[2]["ttft_ms"] is None


class Counting(Here):
    """Counts the points it computes, and is interrupted after some."""

    def __init__(self, limit: int = 1000) -> None:
        self.count, self._limit = 0, limit

    def submit(self, fn, /, *args, **kwargs) -> Future:
        if self.count == self._limit:
            raise KeyboardInterrupt
        self.count += 1
        return super().submit(fn, *args, **kwargs)


def test_resumed_sweeps_compute_only_what_is_missing_and_end_the_same(tmp_path) -> None:
    whole = rows_of(VARY)
    path = tmp_path / "j"
    with Journal(path) as journal, pytest.raises(KeyboardInterrupt):
        rows_of(VARY, Counting(3), journal)
    rest = Counting()
    with Journal(path) as journal:
        assert len(journal.finished) == 3
        assert rows_of(VARY, rest, journal) == whole
    assert rest.count == 5
    with Journal(path) as journal:
        assert rows_of(VARY, Counting(0), journal) == whole


def test_a_changed_chip_or_workload_is_computed_again(tmp_path) -> None:
    with Journal(tmp_path / "j") as journal:
        rows_of({"request.new_tokens": [2]}, None, journal)
        points = grid(
            variants(),
            [axsim.load_chip("ax630c", {"dram.capacity_bytes": 10**9})],
            {"request.new_tokens": [2]},
            settings={},
            timing_only=True,
        )
        assert points[0].key not in journal.finished


def test_any_executor_serves() -> None:
    with ThreadPoolExecutor(2) as threads:
        assert rows_of(VARY, threads) == rows_of(VARY)


class Lossy(Here):
    """Loses the worker of every batch with a point of three tokens."""

    def __init__(self) -> None:
        self.sizes: list[int] = []

    def submit(self, fn, /, *args, **kwargs) -> Future:
        points = args[0]
        self.sizes.append(len(points))
        if all(json.loads(point.settings)["request.new_tokens"] != 3 for point in points):
            return super().submit(fn, *args, **kwargs)
        future: Future = Future()
        future.set_exception(RuntimeError("worker died 3 times"))
        return future


def test_a_lost_worker_is_a_row() -> None:
    rows = rows_of({"request.new_tokens": [2, 3]}, Lossy())
    assert [row["error"] for row in rows] == [None, None, "RuntimeError: worker died 3 times"]
    assert rows[2]["request.new_tokens"] == 3


def test_a_lost_batch_is_tried_point_by_point() -> None:
    vary = {"request.seed": list(range(64)), "request.new_tokens": [2, 3, 4]}
    executor = Lossy()
    rows = rows_of(vary, executor, variants=["u8"])
    assert max(executor.sizes) == 12
    assert [row["error"] is None for row in rows] == [True, False, True] * 64
    assert [row["request.seed"] for row in rows] == [n for n in range(64) for _ in range(3)]


def test_kernels_run_too() -> None:
    (point,) = grid(
        variants(), ["ax630c"], {"request.new_tokens": [2]}, settings={}, variants=["u8"]
    )
    (row,) = evaluate(point)
    expected = axsim.run(variants(), "ax630c", overrides={"request.new_tokens": 2})["u8"]
    assert row["vision_cosine"] == expected.numerics.vision_cosine
    assert row["logits_cosine"] == expected.numerics.logits_cosine
    assert row["generated_tokens"] == 2


def test_python_gives_a_data_frame_from_processes() -> None:
    pytest.importorskip("pandas")
    frame = axsim.sweep(variants(), "ax630c", VARY, timing_only=True, jobs=2)
    assert frame.to_dict("records")[3]["ttft_ms"] == rows_of(VARY)[3]["ttft_ms"]
    assert len(frame) == 16
    assert frame["error"].isna().all()


def test_columns_have_one_type() -> None:
    rows = [{"a": 1, "b": "x", "c": [1], "d": None}, {"a": 1.5, "b": 2, "c": None, "d": None}]
    assert columns(rows) == {
        "a": [1.0, 1.5],
        "b": ["x", "2"],
        "c": ["[1]", None],
        "d": [None, None],
    }
