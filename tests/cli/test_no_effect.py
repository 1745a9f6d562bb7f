"""Every command that takes ``--set`` says on stderr which keys change nothing, and goes on."""

from __future__ import annotations

import pytest

from tests.cli.command import axsim

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
    ],
    ids=lambda words: words[0],
)
def test_a_key_without_effect_is_told(words) -> None:
    found = axsim(*words, "--set", KEY)
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
