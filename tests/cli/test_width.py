"""Everything that is printed fits 80 columns, also where the output is no terminal."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from axsim.cli.app import app

RUN = "run internvl2_1b --chip ax630c --timing-only"
LONG = f"{RUN} --set request.prompt_tokens=2000 --set build.kv_cache_len=4096"
SMALL = f"{RUN} --set chip.dram.capacity_bytes=500000000"


@pytest.mark.parametrize(
    "line",
    [
        "chips",
        "workloads",
        "show ax650n",
        "show internvl2_1b",
        RUN,
        "run qwen3_0_6b --timing-only --chip ax650n",
        LONG,
        SMALL,
        "compare ax650n ax630c --workload internvl2_1b",
        "compare internvl2_1b qwen3_0_6b --chip ax630c",
        "explain internvl2_1b --chip ax630c",
        "scenarios",
        "show camera_answers",
        "simulate three_models --duration 1s --costs",
    ],
)
@pytest.mark.parametrize("columns", [None, "80", "120"])
def test_lines_fit_the_screen(
    line: str, columns: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    if columns:
        monkeypatch.setenv("COLUMNS", columns)
    result = CliRunner().invoke(app, line.split())
    assert result.exit_code == 0, result.output
    widest = max(result.output.splitlines(), key=len)
    assert len(widest) <= int(columns or 80), widest
    assert "…" not in result.output.replace("…²", "")


@pytest.mark.parametrize("name", ["chips", "workloads", "scenarios"])
def test_lists_are_json_too(name: str) -> None:
    found = json.loads(CliRunner().invoke(app, [name, "--json", "-"]).output)[name]
    known = {"chips": "ax650n", "workloads": "internvl2_1b", "scenarios": "camera_answers"}
    assert known[name] in [row["name"] for row in found]
    assert all(isinstance(row["name"], str) for row in found)


def test_show_is_json_too() -> None:
    found = json.loads(CliRunner().invoke(app, ["show", "internvl2_1b", "--json", "-"]).output)
    keys = {each["key"]: each["value"] for each in found["keys"]}
    assert keys["model.vision.hidden_size"] == 1024
    assert found["kind"] == "workload"
    assert "224-u8" in found["variants"]
    assert found["derived"]["image_tokens"] == 64
