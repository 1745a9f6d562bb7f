"""``--plot`` of ``axsim run`` and ``axsim validate`` from the outside."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from axsim.cli.app import app
from tests.fidelity.rows import DECODE, VISION, write
from tests.runs import tiny

RUN = ["run", "tiny.yaml", "--chip", "ax630c", "--timing-only", "--quiet"]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch) -> Path:
    tiny.write(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def axsim(*arguments: str, code: int = 0) -> str:
    found = CliRunner().invoke(app, list(arguments))
    assert found.exit_code == code, found.output
    return found.output


@pytest.mark.parametrize("kind", ["latency", "roofline", "timeline", "bandwidth"])
def test_every_kind_of_picture(folder, kind) -> None:
    axsim(*RUN, "--plot", "a.svg", "--plot-kind", kind)
    words = {
        "latency": "image to first token, ms",
        "roofline": "arithmetic intensity, operations per byte of DRAM traffic",
        "timeline": "sdma3.rd",
        "bandwidth": "DRAM, GB/s",
    }
    text = (folder / "a.svg").read_text()
    assert f"<!-- {words[kind]} -->" in text
    if kind != "latency":
        axsim(*RUN, "--plot", "b.svg", "--plot-kind", kind, "--plot-stage", "decode")
        other = (folder / "b.svg").read_text()
        assert "<!-- decode" in other
        assert "<!-- post" not in other


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--plot", "a.jpg"], ".png, .svg, .pdf"),
        (["--plot", "no/a.png"], "no folder no"),
        (["--plot", "a.png", "--plot-stage", "decode"], "--plot-stage is for the other kinds"),
        (["--plot", "a.png", "--plot-kind", "rofline"], "roofline"),
        (
            ["--plot", "a.png", "--plot-kind", "roofline", "--plot-stage", "visio"],
            "did you mean 'vision'",
        ),
    ],
)
def test_mistakes(folder, arguments, message) -> None:
    assert message in axsim(*RUN, *arguments, code=2).replace("\n", " ")
    assert not list(folder.glob("a.*"))


def test_validate(folder) -> None:
    ledger = write(folder / "mine.csv", [VISION, {**DECODE, "value": "31"}])
    axsim("validate", "--ledger", str(ledger), "--quiet", "--plot", "errors.svg")
    assert "<!-- predicted -->" in (folder / "errors.svg").read_text()
