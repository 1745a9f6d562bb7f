"""Predictions that nothing measured vouches for are marked."""

from __future__ import annotations

from io import StringIO

import pytest
from rich.console import Console

import axsim
from axsim.show.extrapolated import MARK, footnotes, mark
from axsim.show.plots import latency_bars
from axsim.show.report import content
from axsim.show.report.content import gather
from axsim.show.report.page import page
from axsim.show.tables import notes, variants_table
from axsim.spec.chip import load_chip
from tests.show.plots.reading import texts
from tests.show.report.reading import Page


@pytest.fixture(scope="module")
def result() -> axsim.RunResult:
    return axsim.run(
        "internvl2_1b",
        "ax630c",
        overrides={"build.float_matmul_on_conv": True, "build.weight_dtype": "bf16"},
        timing_only=True,
    )


def test_marks_and_their_reasons(result) -> None:
    first = result[0]
    assert not mark(first.vision_encode_ms)
    for found in (first.ttft_ms, first.image_to_first_token_ms, first.token_ms):
        assert mark(found) == MARK
        assert "bf16" in found.extrapolated
    lines = footnotes(result)
    assert lines[0].startswith(MARK)
    assert all(any(each.name in line for line in lines[1:]) for each in result)
    assert sum("no ttft in bf16" in line for line in lines) == 1
    assert set(lines) <= set(notes(result))


def test_tables_have_the_marks_in_eighty_columns(result) -> None:
    out = StringIO()
    console = Console(file=out, width=80, highlight=False, markup=False)
    console.print(variants_table(result))
    for line in notes(result):
        console.print(line)
    shown = out.getvalue()
    assert shown.count(f"%{MARK}") >= 3 * len(result)
    assert max(map(len, shown.splitlines())) <= 80


def test_the_report_and_the_bars_have_the_marks_and_the_reasons(result, monkeypatch) -> None:
    monkeypatch.setattr(content, "draw", lambda *_: {})
    found = Page(page(gather(result, "internvl2_1b", load_chip("ax630c"))))
    for row in found.table("Variants").rows[-len(result) :]:
        assert " ".join(row).count(f"%{MARK}") == 3
    assert all(line.strip() in found.text for line in footnotes(result))
    bars = latency_bars(result)
    totals = [text for text in texts(bars) if "±" in text]
    assert len(totals) == 2 * len(result)
    assert all(text.endswith(MARK) for text in totals)
    assert bars.legends[0].get_title().get_text() == f"{MARK} extrapolated"


def test_rows_of_tables_say_why(result) -> None:
    for row in result.to_rows():
        assert "bf16" in row["ttft_ms_extrapolated"]
        assert row["vision_encode_ms_extrapolated"] is None


def test_nothing_is_said_where_all_is_measured() -> None:
    plain = axsim.run("internvl2_1b", "ax650n", variants=["224-u8"], timing_only=True)
    assert footnotes(plain) == []
    assert MARK not in "".join(mark(each) for each in plain[0].predictions.values())
    bars = latency_bars(plain)
    assert not bars.legends[0].get_title().get_text()
    assert not any(MARK in text for text in texts(bars))
