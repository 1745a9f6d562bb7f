"""``axsim explain`` from the outside."""

from __future__ import annotations

import json
from functools import partial

from tests.cli.command import axsim, process

run = partial(axsim, "explain")


def test_words() -> None:
    out = run("internvl2_1b", "--chip", "ax650n", "--variant", "448-u16").stdout
    assert out.startswith("InternVL2-1B 448-u16 on ax650n, NPU3\n")
    assert "Image to first token: " in out
    assert "one change at a time" in out
    assert "Other variants" not in out


def test_the_first_variant_and_the_names_of_the_others() -> None:
    out = run("internvl2_1b", "--chip", "ax650n").stdout
    assert out.startswith("InternVL2-1B 224-u8 on ax650n, NPU3\n")
    assert out.endswith("Other variants (--variant): 224-u16, 448-u8, 448-u16\n")


def test_json_on_stdout() -> None:
    out = process("explain", "qwen3_0_6b", "--chip", "ax630c", "--json", "-").stdout
    (found,) = json.loads(out)["explanations"]
    assert found["chip"] == "ax630c"


def test_bad_input() -> None:
    assert (
        "no variant '449'"
        in run("internvl2_1b", "--chip", "ax650n", "--variant", "449", code=2).stderr
    )
    assert "no chip" in run("internvl2_1b", "--chip", "ax1", code=2).stderr
