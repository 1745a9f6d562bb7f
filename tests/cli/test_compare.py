"""``axsim compare`` from the outside."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

import axsim
from axsim.cli.app import app

RUNNER = CliRunner()
MODEL = "qwen3_0_6b"


def compare(*arguments: str, code: int = 0) -> str:
    found = RUNNER.invoke(app, ["compare", *arguments])
    assert found.exit_code == code, found.output
    return found.output


def words(text: str) -> list[list[str]]:
    return [line.split() for line in text.splitlines()]


def result(path: Path, **overrides: object) -> str:
    found = axsim.run(MODEL, "ax630c", overrides=overrides, timing_only=True)
    path.write_text(json.dumps(found.to_dict()))
    return str(path)


def test_chips_on_a_workload() -> None:
    lines = words(compare("ax650n", "ax630c", "--workload", MODEL))
    one, two = (axsim.run(MODEL, chip, timing_only=True)[0] for chip in ("ax650n", "ax630c"))
    row = next(line for line in lines if "ttft_ms" in line)
    a, b = one.ttft_ms.value, two.ttft_ms.value
    assert row[-3:] == [f"{a:.6g}", f"{b:.6g}", f"{b / a - 1:+.2%}"]
    assert ["dram.width_bits", "64", "32", "-50.00%"] in lines


def test_a_chip_with_itself() -> None:
    lines = compare("ax650n", "ax650n", "--workload", MODEL).splitlines()
    assert lines[-1].startswith("0 results differ")
    assert lines[-1].endswith("0 keys differ")


def test_chips_alone_compare_their_keys() -> None:
    text = compare("ax650n", "ax630c")
    assert "Results" not in text
    assert "npu.conv.int8_macs_per_cycle" in text


def test_workloads_on_a_chip() -> None:
    text = compare("internvl2_1b", "internvl3_2b", "--chip", "ax650n", "--set", "request.seed=3")
    assert "model.decoder.hidden_size" in text
    assert "image_to_first_token_ms" in text


def test_results_in_files(tmp_path) -> None:
    a = result(tmp_path / "a.json")
    b = result(tmp_path / "b.json", **{"build.kv_cache_len": 1023})
    lines = words(compare(a, b))
    assert any("kv_cache_len" in line and line[-3:-1] == ["2047", "1023"] for line in lines)
    assert any("decode_tokens_per_s" in line and line[-1].startswith("+") for line in lines)
    assert "0 results differ" in compare(a, a)


def test_turns_are_results_and_what_was_asked_conditions(tmp_path) -> None:
    turns = [{"text_tokens": 20}, {"text_tokens": 9, "new_tokens": 2}]
    a = result(tmp_path / "a.json", **{"request.turns": turns})
    turns[1]["text_tokens"] = 400
    b = result(tmp_path / "b.json", **{"request.turns": turns})
    results, _, conditions = compare(a, b).partition("Conditions")
    assert "turn 2 ttft_ms" in results
    assert "turns.1.prompt_tokens" in conditions
    assert "arrivals" not in conditions
    assert "turns" not in compare(a, result(tmp_path / "c.json")).partition("Conditions")[2]


def test_differences_come_before_equals_and_a_lone_variant_has_no_conditions(tmp_path) -> None:
    a = result(tmp_path / "a.json")
    b = result(tmp_path / "b.json", **{"build.kv_cache_len": 1023})
    results = compare(a, b).partition("Conditions")[0].split("128-s8")[1].split("128-s4")[0]
    changes = [line[-1] for line in words(results) if line and line[-1].endswith("%")]
    equal = [each == "+0.00%" for each in changes]
    assert equal == sorted(equal)
    assert set(equal) == {True, False}

    c = result(tmp_path / "c.json", **{"build.weight_dtype": "s4"})
    assert "128-s8" in compare(a, c)
    assert "Conditions" not in compare(a, c)


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (["ax650n", MODEL], "a workload"),
        (["ax650n", "ax630c", "--chip", "ax650n"], "has no effect"),
        ([MODEL, MODEL, "--workload", MODEL], "has no effect"),
        (["ax650n", "ax631c"], "ax630c"),
        (["none.json", "none.json"], "cannot be read"),
    ],
)
def test_wrong_input(arguments: list[str], what: str) -> None:
    assert what in compare(*arguments, code=2)


def test_a_file_without_results(tmp_path) -> None:
    (tmp_path / "a.json").write_text("[]")
    path = str(tmp_path / "a.json")
    assert "holds no results" in compare(path, path, code=2)
    variant = {"name": None, "predictions": {}, "preprocess_ms": 0, "turns": [], "numerics": None}
    variant |= {"memory": {"total_bytes": 1}}
    nameless = {"workload": "w", "chip": "c", "variants": [variant]}
    (tmp_path / "a.json").write_text(json.dumps(nameless))
    assert "holds no results" in compare(path, path, code=2)
