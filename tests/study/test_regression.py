from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

import axsim
from axsim.spec.descriptor import shipped
from axsim.study.regression import check, snapshot
from tests.cli.command import axsim as command
from tests.runs import tiny
from tests.runs.tiny import variants


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A workload of toy size and a board of one's own in a subfolder."""
    tiny.write(tmp_path)
    (tmp_path / "boards").mkdir()
    (tmp_path / "boards" / "mine.yaml").write_text(shipped("chip")["ax630c"].read_text())
    return tmp_path


def slow_down(folder: Path) -> None:
    path = folder / "boards" / "mine.yaml"
    board = yaml.safe_load(path.read_text())
    board["calibrated"]["clock_mhz"] /= 2
    path.write_text(yaml.safe_dump(board))


def test_a_snapshot_holds_what_run_predicts(folder) -> None:
    found = snapshot(folder / "tiny.yaml", ["ax630c"], folder=folder)
    run = axsim.run(variants(), "ax630c", timing_only=True)
    for each in run:
        assert found["timings"][f"ax630c {each.name}"]["ttft_ms"] == each.ttft_ms.value
    assert found["asked"]["workload"] == "tiny.yaml"
    assert found["parameters"]["workload"]["model.decoder.hidden_size"] == 32


def test_command_line_from_another_folder(folder, tmp_path_factory) -> None:
    (folder / "pins").mkdir()
    pin = "pins/baseline.json"
    chips = ["--chip", "boards/mine.yaml,ax650n"]
    command("snapshot", "tiny.yaml", *chips, "-o", pin, folder=folder)
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    out = command("check", str(folder / pin), folder=elsewhere).output
    assert "0 times moved by more than 2%, 0 by less" in out

    slow_down(folder)
    out = command("check", str(folder / pin), folder=elsewhere, code=1).output
    assert "calibrated.clock_mhz" in out
    assert "ttft_ms" in out
    assert "../boards/mine.yaml u8" in out
    assert "ax650n u8" not in out
    for tolerance in ("200%", "200"):
        out = command("check", pin, "--tolerance", tolerance, folder=folder).output
        assert "calibrated.clock_mhz" in out
        assert "0 times moved by more than 200%" in out
    out = command("check", pin, "--tolerance", "2", folder=folder, code=1).output
    assert "moved by more than 2%" in out


def test_code_and_lost_variants_are_named(folder) -> None:
    path = folder / "baseline.json"
    document = snapshot(folder / "tiny.yaml", ["ax630c"], folder=folder)
    document["axsim"]["code"] = "0" * 12
    document["timings"]["ax630c u4"] = {"ttft_ms": 1.0}
    path.write_text(json.dumps(document))
    found = check(path, 0.02)
    assert [(each.where, each.after) for each in found.moved] == [("ax630c u4", None)]
    assert [each.name for each in found.causes] == ["axsim code"]


def test_tolerance_is_a_limit(folder) -> None:
    path = folder / "baseline.json"
    document = snapshot(folder / "tiny.yaml", ["ax630c"], variants=["u8"], folder=folder)
    document["timings"]["ax630c u8"]["ttft_ms"] *= 1.03
    path.write_text(json.dumps(document))
    assert not check(path, 0.02).ok
    assert check(path, 0.03).ok
    assert len(check(path, 0.03).within) == 1


@pytest.mark.parametrize("content", ["", "[]", '{"format": "x"}'])
def test_what_is_no_snapshot(tmp_path, content: str) -> None:
    (tmp_path / "b.json").write_text(content)
    with pytest.raises(axsim.InputError):
        check(tmp_path / "b.json", 0.1)


def test_pytest_plugin(folder) -> None:
    test = (
        "def test_times(axsim_timing):\n"
        '    axsim_timing("tiny.yaml", chip=["boards/mine.yaml", "ax650n"], tolerance="2%")\n'
    )
    (folder / "test_pin.py").write_text(test)

    def run(*options: str, code: int, alone: bool = True) -> str:
        """Without the other plugins that are installed it takes a fifth of the time."""
        line = [sys.executable, "-m", "pytest", "-q", "-p", "axsim.pytest_plugin"]
        line += ["-p", "no:cacheprovider", *options, "test_pin.py"]
        environment = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1" if alone else ""}
        found = subprocess.run(line, cwd=folder, capture_output=True, text=True, env=environment)
        assert found.returncode == code, found.stdout + found.stderr
        return found.stdout

    assert "write it with --axsim-update" in run(code=1, alone=False)
    (folder / "test_pin.py").write_text(test.replace('"2%"', '"2 per cent"'))
    assert "found '2 per cent'" in run("--axsim-update", code=1)
    assert not (folder / "baselines").exists()
    (folder / "test_pin.py").write_text(test.replace('"2%"', "2"))
    run("--axsim-update", code=0)
    assert (folder / "baselines" / "test_times.json").is_file()
    run(code=0)
    slow_down(folder)
    out = run(code=1)
    assert "calibrated.clock_mhz" in out
    assert "../boards/mine.yaml u8: " in out
