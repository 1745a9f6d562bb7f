"""``axsim validate`` from the outside."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import pytest

from axsim.fidelity.ledger import COLUMNS
from tests.cli.command import axsim, process
from tests.fidelity.rows import DECODE, VISION, write

run = partial(axsim, "validate")


@pytest.fixture
def ledger(tmp_path) -> Path:
    return write(tmp_path / "mine.csv", [VISION, {**DECODE, "value": "31"}])


def test_tables_fit_eighty_columns(ledger) -> None:
    out = process("validate", "--ledger", ledger).stdout
    assert max(map(len, out.splitlines())) <= 80
    for text in ("V1", "224 px u8", "MAPE", "median", "worst"):
        assert text in out


def test_json(ledger, tmp_path) -> None:
    target = tmp_path / "out.json"
    run("--ledger", ledger, "--json", target, "--quiet")
    rows = json.loads(target.read_text())
    assert [row["id"] for row in rows] == ["V1", "D1"]
    found = run("--ledger", ledger, "--json", "-")
    assert json.loads(found.stdout) == rows


def test_limits(ledger) -> None:
    run("--ledger", ledger, "-q", "--max-mape", "1000", "--max-error", "1000")
    found = run("--ledger", ledger, "-q", "--max-mape", "0", code=1)
    assert "MAPE of all rows" in found.stderr
    found = run("--ledger", ledger, "-q", "--max-error", "0", code=1)
    assert "2 of 2 rows" in found.stderr


def test_a_row_without_prediction_fails_after_all_rows(tmp_path) -> None:
    path = write(tmp_path / "l.csv", [{**VISION, "image_size": "8"}, DECODE])
    found = run("--ledger", path, "--json", tmp_path / "out.json", code=1)
    assert "error: V1 (line 2): cannot be predicted" in found.stderr
    assert "multiple of 16" in found.stderr
    first, second = json.loads((tmp_path / "out.json").read_text())
    assert first["predicted"] is None
    assert "multiple of 16" in first["reason"]
    assert second["predicted"] > 0


def test_input_errors(tmp_path, ledger) -> None:
    broken = write(tmp_path / "b.csv", [DECODE], COLUMNS[:-1][1:])
    found = run("--ledger", broken, code=2)
    assert "id: column is missing" in found.stderr
    assert "no such" in run("--ledger", ledger, "--chip", "ax000.yaml", code=2).stderr
    assert "cannot draw" in run("--ledger", ledger, "--plot", "x.bmp", code=2).stderr
    assert "no folder" in run("--ledger", ledger, "--json", "/nowhere/x.json", code=2).stderr
    assert "can't be read" in run("--ledger", ledger, "--models", "none.yaml", code=2).stderr


def test_plot(ledger, tmp_path) -> None:
    pytest.importorskip("matplotlib")
    elsewhere = partial(process, "validate")  # where sets of strings have another order
    for name, start, again in (("p.png", b"\x89PNG", run), ("p.svg", b"<?xml", elsewhere)):
        first, second = tmp_path / name, tmp_path / f"again-{name}"
        run("--ledger", ledger, "-q", "--plot", first)
        again("--ledger", ledger, "-q", "--plot", second)
        assert first.read_bytes().startswith(start)
        assert first.read_bytes() == second.read_bytes()


def test_coverage_is_told_beside_the_errors(ledger) -> None:
    out = run("--ledger", ledger).stdout
    for text in ("p90", "covered¹", "¹ measured values inside the 90% interval"):
        assert text in out


@pytest.mark.parametrize("row", ["P002", "P053", "P063", "P064", "P081", "P094", "P133"])
def test_explaining_a_row_fits_eighty_columns(row: str, tmp_path) -> None:
    target = tmp_path / "row.json"
    out = run("--explain", row.lower(), "--json", target).stdout
    assert max(map(len, out.splitlines())) <= 80
    for text in (row, "measured", "operators", "waits for", "busy:", "number of the chip"):
        assert text in out
    told = json.loads(target.read_text())
    assert told["id"] == row
    assert sum(told["by_operator"].values()) == pytest.approx(told["total"])
    assert told["elasticities"]


def test_explaining_takes_a_ledger_and_refuses_what_has_no_effect(ledger) -> None:
    assert "V1" in run("--ledger", ledger, "--explain", "V1").stdout
    assert "no row 'V2'" in run("--ledger", ledger, "--explain", "V2", code=2).stderr
    for option in ("--plot=x.png", "--max-mape=3", "--max-error=3"):
        assert "no effect" in run("--explain", "P001", option, code=2).stderr
