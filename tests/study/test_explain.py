"""What would help is what the simulation of each change says."""

from __future__ import annotations

import json

import pytest

import axsim
from axsim.runs.results import VariantResult
from axsim.show.words import lines
from axsim.spec.descriptor import shipped
from axsim.study.explain import BEST, WORTH, Explanation, changes, explain


def variant(workload: str, chip: str = "ax650n", **overrides: object) -> VariantResult:
    keys = {key.replace("__", "."): value for key, value in overrides.items()}
    return axsim.run(workload, chip, timing_only=True, overrides=keys)[0]


@pytest.fixture(scope="module")
def found() -> Explanation:
    return explain(variant("internvl2_1b"))


def test_gains_are_simulated(found) -> None:
    gain = next(g for g in found.token_gains if g.text == "DRAM 25 % faster")
    chip = found.variant.chip
    faster = {"chip.dram.peak_gbps": 1.25 * chip.dram.bandwidth_gbps}
    after = axsim.run("internvl2_1b", "ax650n", timing_only=True, overrides=faster)[0]
    assert gain.before_ms == found.variant.planned.token_ms
    assert gain.after_ms == pytest.approx(after.planned.token_ms)
    assert gain.fraction == pytest.approx(1 - gain.after_ms / gain.before_ms)


def test_the_largest_gains_come_first(found) -> None:
    for gains in (found.first_token_gains, found.token_gains):
        fractions = [gain.fraction for gain in gains]
        assert fractions == sorted(fractions, reverse=True)
        assert len(gains) <= BEST
        assert all(fraction >= WORTH for fraction in fractions)


def test_no_change_is_without_effect_on_the_descriptors() -> None:
    for name in shipped("workload"):
        for chip in shipped("chip"):
            each = variant(name, chip)
            tried = list(changes(each.deployment))
            assert len({change.text for change in tried}) == len(tried) > 5
            for change in tried:
                assert (change.workload, change.chip) != (each.workload, each.chip), change.text


def test_a_smaller_mode_and_a_longer_cache_are_found_out() -> None:
    keys = {"build__npu_mode": "NPU1", "build__kv_cache_len": 4095}
    texts = [change.text for change in changes(variant("qwen3_0_6b", **keys).deployment)]
    assert "NPU mode NPU3" in texts
    assert "KV cache compiled for 255 tokens" in texts
    gains = explain(variant("qwen3_0_6b", **keys)).token_gains
    assert gains[0].text == "KV cache compiled for 255 tokens"


def test_only_one_chunk_length_is_told() -> None:
    each = variant("qwen3_0_6b", request__prompt_tokens=300, build__prefill_chunk=512)
    gains = explain(each).first_token_gains
    assert sum(gain.text.startswith("prefill in chunks") for gain in gains) == 1


def test_a_tower_alone() -> None:
    found = explain(variant("siglip2_b16"))
    assert found.token == found.token_gains == ()
    text = "\n".join(lines(found))
    assert "Image to result" in text
    assert "decode token" not in text


@pytest.mark.parametrize("chip", ["ax650n", "ax630c"])
@pytest.mark.parametrize("workload", ["internvl2_1b", "internvl3_2b", "qwen3_0_6b"])
def test_words_fit_eighty_columns(workload: str, chip: str) -> None:
    text = list(lines(explain(variant(workload, chip))))
    assert max(map(len, text)) <= 80
    joined = "\n".join(text)
    assert "waits for" in joined
    assert "DRAM" in joined
    assert "A decode token" in joined


def test_json(found) -> None:
    document = json.loads(json.dumps(found.to_dict()))
    assert document["first_token"]["ms"] == pytest.approx(
        found.variant.planned.image_to_first_token_ms
    )
    assert [stage["stage"] for stage in document["token"]["stages"]] == ["decode", "post"]
    assert len(document["token"]["changes"]) == len(found.token_gains)
