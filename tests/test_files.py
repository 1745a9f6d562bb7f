"""Output files appear whole or not at all."""

from __future__ import annotations

import csv
import gzip
import json

import pytest

import axsim
from axsim.errors import InputError
from axsim.files import check_outputs, check_writable, whole_text, write_csv, write_json


@pytest.fixture(scope="module")
def result() -> axsim.RunResult:
    return axsim.run("internvl2_1b", "ax630c", timing_only=True)


def test_json_comes_back_as_it_went(result, tmp_path) -> None:
    path = tmp_path / "r.json"
    write_json(result.to_dict(), path)
    assert json.loads(path.read_text()) == result.to_dict()


def test_csv_comes_back_as_it_went(result, tmp_path) -> None:
    path = tmp_path / "r.csv"
    write_csv(result.to_rows(), path)
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 4
    for row, original in zip(rows, result.to_rows(), strict=True):
        for key, value in original.items():
            assert row[key] == ("" if value is None else str(value))
            if isinstance(value, float):
                assert float(row[key]) == value


@pytest.mark.parametrize("name", ["x.json", "x.json.gz"])
@pytest.mark.parametrize("before", [None, "old"])
def test_a_failure_leaves_what_was_there(tmp_path, name, before) -> None:
    path = tmp_path / name
    if before:
        path.write_text(before)
    with pytest.raises(KeyboardInterrupt), whole_text(path) as file:  # noqa: PT012
        file.write("half")
        raise KeyboardInterrupt
    assert [p.name for p in tmp_path.iterdir()] == ([name] if before else [])
    assert not before or path.read_text() == before


def test_a_file_takes_the_place_of_the_old_one_at_the_end(tmp_path) -> None:
    path = tmp_path / "x"
    path.write_text("old")
    with whole_text(path) as file:
        file.write("new")
        file.flush()
        assert path.read_text() == "old"
    assert path.read_text() == "new"


def test_equal_contents_are_equal_compressed_files(tmp_path) -> None:
    for name in ("a.gz", "b.gz"):
        with whole_text(tmp_path / name) as file:
            file.write("the same\n" * 100)
    assert (tmp_path / "a.gz").read_bytes() == (tmp_path / "b.gz").read_bytes()
    assert gzip.decompress((tmp_path / "a.gz").read_bytes()) == b"the same\n" * 100


def test_permissions_are_the_usual_ones(tmp_path) -> None:
    (tmp_path / "usual").write_text("")
    with whole_text(tmp_path / "ours") as file:
        file.write("")
    modes = [(tmp_path / name).stat().st_mode for name in ("usual", "ours")]
    assert modes[0] == modes[1]


def test_a_place_that_cannot_be_written_is_told(tmp_path) -> None:
    for path in (tmp_path, tmp_path / "no" / "x.json"):
        with pytest.raises(InputError, match="cannot write"):
            check_writable(path)
        with pytest.raises(InputError, match="cannot write"), whole_text(path):
            pass
    check_writable(tmp_path / "x.json")
    check_writable("-")
    check_writable(None)


def test_two_outputs_are_two_files(tmp_path, monkeypatch) -> None:
    check_outputs(None, "-", "-", "/dev/null", "/dev/null", tmp_path / "a", tmp_path / "b")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="given for two outputs"):
        check_outputs("a", tmp_path / "a")
