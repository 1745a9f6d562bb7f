"""Keys that change nothing are told, and only they."""

from __future__ import annotations

import warnings

import pytest

import axsim
from axsim.models.config import ModelConfig
from axsim.runs.no_effect import without_effect, words
from axsim.spec.descriptor import override
from tests.runs.tiny import TEXT, VISION, VLM, workload

SEEN = workload(VLM)
ASKED = workload(TEXT, prompt_tokens=12)
BARE = workload(ModelConfig(None, VISION), new_tokens=1)

IDLE = [
    (ASKED, "ax650n", "build.vision_dtype", "u16"),
    (ASKED, "ax650n", "build.precision_overrides", {"*": "u16"}),
    (ASKED, "ax650n", "chip.host.preprocess_cycles_per_pixel", 50.0),
    (BARE, "ax650n", "build.prefill_chunk", 16),
    (BARE, "ax650n", "build.weight_dtype", "s4"),
    (BARE, "ax650n", "build.kv_slots", 3),
    (BARE, "ax650n", "chip.calibrated.host_decode_ms", 3.0),
    (SEEN, "ax630c", "build.float_matmul_on_conv", True),
    (SEEN, "ax630c", "build.toolchain", "pulsar2-4.x"),
    (SEEN, "ax650n", "chip.host.pcie_ms", 3.0),
    (ASKED, "ax650n", "chip.cpu.cores", 2),
]
"""What has nothing to act on: no tower, no decoder, no link, no float products on CONV, no second
user of the cores."""

TELLING = [
    (SEEN, "ax650n", "chip.cpu.cores", 2),
    (SEEN, "ax650n", "build.vision_dtype", "u16"),
    (SEEN, "ax650n", "build.weight_dtype", "s4"),
    (SEEN, "ax650n", "build.kv_slots", 3),
    (SEEN, "ax650n", "request.seed", 3),
    (SEEN, "ax650n", "request.new_tokens", 3),
    (SEEN, "ax650n", "request.temperature", 0.5),
    (SEEN, "ax8850_card", "chip.host.pcie_ms", 3.0),
    (ASKED, "ax650n", "chip.dram.capacity_bytes", 2**30),
    (ASKED, "ax650n", "chip.host.storage_mb_per_s", 50.0),
    (ASKED, "ax650n", "chip.dram.peak_gbps", 10.0),
    (BARE, "ax650n", "build.vision_dtype", "u16"),
]


@pytest.mark.parametrize(("asked", "chip", "key", "value"), IDLE)
def test_a_key_with_nothing_to_act_on_is_told(asked, chip, key, value) -> None:
    assert without_effect([(asked, chip)], {key: value}) == [key]


@pytest.mark.parametrize(("asked", "chip", "key", "value"), TELLING)
def test_a_key_that_changes_anything_is_not(asked, chip, key, value) -> None:
    assert without_effect([(asked, chip)], {key: value}) == []


def test_a_value_that_is_there_anyway_is_not_told() -> None:
    assert without_effect([(ASKED, "ax650n")], {"build.vision_dtype": "u8"}) == []


def test_each_key_is_left_out_alone() -> None:
    """What matters only beside another key matters."""
    sampled = {"request.temperature": 0.5, "request.top_k": 5, "build.vision_dtype": "u16"}
    assert without_effect([(ASKED, "ax650n")], sampled) == ["build.vision_dtype"]


def test_what_does_not_go_without_a_key_needs_it() -> None:
    """The prompt of 60 tokens is too long for the cache of 40 that the file asks for."""
    long = override(ASKED, {"build.kv_cache_len": 80, "request.prompt_tokens": 60})
    short = {"build.kv_cache_len": 40, "request.prompt_tokens": 12}
    assert without_effect([(long, "ax650n")], short) == []
    patterns = override(SEEN, {"build.precision_overrides": {"no such tensor": "u16"}})
    mended = {"build.precision_overrides": {}}
    assert without_effect([(patterns, "ax650n")], mended) == []


def test_one_case_with_an_effect_is_enough() -> None:
    key = {"chip.host.pcie_ms": 3.0}
    assert without_effect([(SEEN, "ax650n"), (SEEN, "ax8850_card")], key) == []


def test_varied_keys_are_told_when_all_their_values_give_the_same() -> None:
    vary = {"build.vision_dtype": ["u8", "u16", "bf16"], "build.weight_dtype": ["s8", "s4"]}
    assert without_effect([(ASKED, "ax650n")], {}, vary=vary) == ["build.vision_dtype"]


def test_python_warns() -> None:
    with pytest.warns(UserWarning, match=r"build\.vision_dtype=u16 has no effect here"):
        axsim.run(ASKED, "ax650n", overrides={"build.vision_dtype": "u16"}, timing_only=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        axsim.run(ASKED, "ax650n", overrides={"build.weight_dtype": "s4"}, timing_only=True)


def test_a_sweep_in_python_warns() -> None:
    vary = {"build.vision_dtype": ["u8", "u16"]}
    with pytest.warns(UserWarning, match=r"build\.vision_dtype has no effect here"):
        axsim.sweep(ASKED, "ax650n", vary, timing_only=True, jobs=1)


def test_the_words_name_the_value_that_was_set() -> None:
    (line,) = words(["build.toolchain"], {"build.toolchain": "pulsar2-4.x"})
    assert line.startswith("build.toolchain=pulsar2-4.x has no effect here")
    assert words(["chip.cpu.cores"])[0].startswith("chip.cpu.cores has no effect here")
