"""Tables at 80 columns."""

from __future__ import annotations

import math
from io import StringIO

import pytest
from rich.console import Console

import axsim
from axsim.fidelity.prediction import Interval
from axsim.runs.computed import Numerics
from axsim.show.tables import (
    assumed,
    breakdown_table,
    heading,
    memory_line,
    misfits,
    notes,
    number,
    operators_table,
    traffic_table,
    turns_table,
    variants_table,
)


def text(renderable: object, width: int = 80) -> str:
    out = StringIO()
    Console(file=out, width=width, highlight=False, markup=False).print(renderable)
    return out.getvalue()


def intervals(chip, metric) -> Interval:
    return Interval(-0.12, 0.12)


@pytest.fixture(scope="module", params=["ax650n", "ax630c"])
def result(request) -> axsim.RunResult:
    found = axsim.run("internvl2_1b", request.param, timing_only=True, intervals=intervals)
    numerics = Numerics(True, 0.99876, 0.9, (1, 2), 1, False)
    for name in ("224-u8", "224-u16", "448-u8"):
        found = found.with_numerics(name, [(numerics, None)])
    return axsim.RunResult(found.workload, found.chip, found.variants, False, False)


def test_the_widest_table_fits_80_columns_and_cuts_nothing(result) -> None:
    shown = text(variants_table(result))
    assert max(map(len, shown.splitlines())) <= 80
    assert "0.9988" in shown
    assert shown.count("…") == 2  # the numbers of the variant that has not run yet
    for each in result:
        assert number(each.ttft_ms.value) + " ±12%" in shown
    found = result["224-u8"].vision_encode_ms
    assert f"{number(found.measured.value)} {found.error:+.0%}" in shown


def test_other_tables_fit_too(result) -> None:
    for each in result:
        tables = (
            breakdown_table(each), operators_table(each.breakdown), traffic_table(each.breakdown)
        )  # fmt: skip
        for table in tables:
            assert max(map(len, text(table).splitlines())) <= 80
            assert "…" not in text(table)
    assert "on a" in heading(result) or result.chip in heading(result)


def test_synthetic_weights_are_called_so(result) -> None:
    assert "synthetic" in " ".join(notes(result))
    timed = axsim.RunResult(result.workload, result.chip, result.variants, True)
    assert "synthetic" not in " ".join(notes(timed))


def test_a_conversation_has_a_row_for_each_turn() -> None:
    turns = [{"text_tokens": 54, "images": 1}, {"text_tokens": 20}]
    keys = {"request.turns": turns, "request.cached_tokens": 30, "build.kv_slots": 2}
    found = axsim.run(
        "internvl2_1b", "ax650n", timing_only=True, variants=["448-u8"], overrides=keys
    )
    first, second = found[0].turns
    lines = text(turns_table(found[0])).splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[-2].split()[:6] == ["1", "30", "1", "310", "1×320", "320"]
    assert lines[-1].split()[:6] == ["2", "355", "0", "21", "1×320", "640"]
    assert number(first.image_to_first_token_ms.value) in lines[-2]
    assert number(second.ttft_ms.value) in lines[-1]
    assert "2 turns, the first a prompt of 310 tokens after 30 cached ones" in heading(found)
    assert "KV cache 24.0 (2 slots of 12.0)" in memory_line(found[0])


def test_memory_is_held_against_the_chip(result) -> None:
    each = result["448-u16"]
    line = memory_line(each)
    need, have = math.ceil(each.memory.total / 2**20), each.memory.capacity // 2**20
    assert line.endswith(f"; fits: needs {need} MiB, has {have}")
    assert "KV cache 12.0" in line


def test_a_model_that_does_not_fit_says_so_in_its_row_and_in_words() -> None:
    keys = {"chip.dram.capacity_bytes": 512 * 2**20}
    result = axsim.run("internvl2_1b", "ax630c", overrides=keys, timing_only=True)
    shown = text(variants_table(result))
    assert shown.count("does not") == len(result)
    assert max(map(len, shown.splitlines())) <= 80
    need = math.ceil(result[0].memory.total / 2**20)
    said = f"224-u8: the model does not fit: needs {need} MiB, has 512 on ax630c"
    assert said in misfits(result)[0]
    assert memory_line(result[0]).endswith(f"; does not fit: needs {need} MiB, has 512")


def test_parts_that_are_missing_have_no_columns() -> None:
    text_only = text(variants_table(axsim.run("qwen3_0_6b", "ax650n", timing_only=True)))
    assert "vision" not in text_only
    tower = text(variants_table(axsim.run("siglip2_b16", "ax650n", timing_only=True)))
    assert "TTFT" not in tower


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0.12345, "0.123"), (1.23456, "1.235"), (12.3456, "12.35"), (123.456, "123.5"),
     (1234.56, "1235")],
)  # fmt: skip
def test_four_digits(value, shown) -> None:
    assert number(value) == shown


def test_what_is_assumed_of_a_build_is_told() -> None:
    """Nothing where it is given, has no effect on the chip, or no language model is built."""

    def told(workload: str, chip: str, **keys: object) -> list[str]:
        overrides = {f"build.{key}": value for key, value in keys.items()}
        return assumed(axsim.run(workload, chip, overrides=overrides, timing_only=True))

    unsaid = {"float_matmul_on_conv": None}
    assert told("qwen3_0_6b", "ax650n", **unsaid) == [
        "assumed: float_matmul_on_conv on, as the vendor builds with pulsar2-5.1"
    ]
    assert told("internvl3_2b", "ax650n") == [
        "assumed: float_matmul_on_conv off, as the vendor builds with pulsar2-4.x"
    ]
    assert told("qwen3_0_6b", "ax650n") == []
    assert told("qwen3_0_6b", "ax630c", **unsaid) == []
    assert told("siglip2_b16", "ax650n") == []


def test_marks_of_the_headings_and_their_notes_go_together(result) -> None:
    decoder = axsim.run("qwen3_0_6b", "ax650n", timing_only=True)
    decoder = axsim.RunResult(decoder.workload, decoder.chip, decoder.variants, False, False)
    tower = axsim.run("siglip2_b16", "ax650n", timing_only=True)
    tower = axsim.RunResult(tower.workload, tower.chip, tower.variants, False, False)
    for found, marks in ((result, "¹²"), (decoder, "¹²"), (tower, "²")):
        shown = text(variants_table(found))
        for mark in "¹²":
            assert shown.count(mark) == (mark in marks)
            assert any(line.startswith(mark) for line in notes(found)) == (mark in marks)
    assert not any("token" in line for line in notes(tower))
