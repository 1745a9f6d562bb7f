from __future__ import annotations

from axsim.study.columns import table_columns
from axsim.study.executors import Here
from axsim.study.grid import grid
from axsim.study.sweep import compute, table
from tests.runs.tiny import variants


def test_columns_are_those_of_a_table() -> None:
    vary = {"request.new_tokens": [2, 3]}
    points = grid(variants(), ["ax630c"], vary, settings={}, timing_only=True)
    rows = table(compute(points, Here()), list(vary))
    assert sorted(table_columns(vary)) == sorted(rows[0])


def test_cosine_is_the_vision_parts() -> None:
    points = grid(variants(), ["ax630c"], {}, settings={"request.new_tokens": 1})
    for row in table(compute(points, Here()), []):
        assert row["cosine"] == row["vision_cosine"]
        assert 0.5 < row["cosine"] < 1
        assert row["synthetic"] is True
        assert row["fits"] is True


def test_without_a_vision_part_it_is_the_logits() -> None:
    from tests.runs.tiny import DECODER, ModelConfig, workload

    only = workload(ModelConfig(DECODER))
    points = grid(only, ["ax630c"], {}, settings={"request.new_tokens": 1})
    (row,) = table(compute(points, Here()), [])
    assert row["vision_cosine"] is None
    assert row["cosine"] == row["logits_cosine"]
    assert 0.5 < row["cosine"] <= 1
