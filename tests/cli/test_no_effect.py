"""Every command that takes ``--set`` says on stderr which keys change nothing, and goes on."""

from __future__ import annotations

import pytest

from tests.cli.command import axsim
from tests.cli.small_network import small

KEY = "build.vision_dtype=u16"
TEXT = ["qwen3_0_6b", "--chip", "ax650n"]
ONE = ["--variant", "128-s8"]


@pytest.mark.parametrize(
    "words",
    [
        ["run", *TEXT, *ONE, "--timing-only"],
        ["explain", *TEXT, *ONE],
        ["sweep", *TEXT, *ONE, "--timing-only", "-j", "1", "--vary", "build.kv_slots=1,2"],
        ["compare", "ax650n", "ax630c", "--workload", "qwen3_0_6b"],
        ["snapshot", *TEXT, *ONE, "-o", "base.json"],
        ["report", *TEXT, *ONE, "--timing-only", "-o", "page.html"],
    ],
    ids=lambda words: words[0],
)
def test_a_key_without_effect_is_told(words, tmp_path) -> None:
    found = axsim(*words, "--set", KEY, folder=tmp_path)
    assert found.exit_code == 0
    told = [line for line in found.stderr.splitlines() if line.startswith("note: ")]
    assert told == [f"note: {KEY} has no effect here: times, memory and numbers are the same "
                    "without it"]  # fmt: skip


def test_a_varied_key_without_effect_is_told() -> None:
    words = ["sweep", *TEXT, *ONE, "--timing-only", "-j", "1"]
    found = axsim(*words, "--vary", "build.vision_dtype=u8,u16", "--vary", "build.kv_slots=1,2")
    assert found.exit_code == 0
    assert "note: build.vision_dtype has no effect here" in found.stderr
    assert "kv_slots has" not in found.stderr


def test_quiet_is_quiet() -> None:
    found = axsim("run", *TEXT, *ONE, "--timing-only", "--quiet", "--set", KEY)
    assert (found.exit_code, found.stderr) == (0, "")


@pytest.mark.parametrize(
    ("words", "same"),
    [
        (["build", "--chip", "ax630c", "-o", "built"], "times, memory and numbers"),
        (["export", "-o", "models"], "numbers"),
        (["precision"], "numbers"),
    ],
    ids=lambda words: words[0],
)
def test_of_what_a_command_tells(words, same, tmp_path) -> None:
    """Export and precision tell numbers alone: to them a key of times has no effect."""
    pytest.importorskip("onnx")
    folder = small(tmp_path)
    command, *more = words
    key = "chip.npu.step_us=0.4" if same == "numbers" else "chip.cpu.cores=1"
    found = axsim(command, "models/small.yaml", *more, "--set", key, folder=folder)
    assert f"note: {key} has no effect here: {same} are the same without it" in found.stderr
    found = axsim(command, "models/small.yaml", *more, "--set", "build.observer=mse", folder=folder)
    assert found.stderr == ""


def test_a_server_tells_at_its_start() -> None:
    from axsim.cli.options import DeploymentOptions

    with pytest.MonkeyPatch.context() as patch:
        said: list[str] = []
        patch.setattr("typer.echo", lambda text, err: said.append(text))
        DeploymentOptions("qwen3_0_6b", settings=[KEY]).deployed("ax650n")
    assert len(said) == 1
    assert KEY in said[0]
