"""The breakdown accounts for all the time and all the bytes."""

from __future__ import annotations

import pytest

import axsim
from axsim.system.breakdown import ENGINES

CHIPS = ["ax650n", "ax630c"]


@pytest.fixture(scope="module", params=CHIPS)
def variant(request) -> axsim.VariantResult:
    return axsim.run("internvl2_1b", request.param, variants=["448-u16"], timing_only=True)[0]


def test_the_stages_are_those_of_the_request(variant) -> None:
    stages = {stage.name: stage for stage in variant.breakdown}
    assert list(stages) == ["preprocess", "vision", "prefill", "post", "decode"]
    found = variant.planned
    assert stages["vision"].ms == found.vision_encode_ms
    assert stages["prefill"].ms + stages["post"].ms == pytest.approx(found.ttft_ms)
    assert stages["decode"].ms + stages["post"].ms == pytest.approx(found.token_ms)


def test_operators_and_engines_each_sum_to_the_stage(variant) -> None:
    for stage in variant.breakdown:
        assert sum(stage.by_operator.values()) == pytest.approx(stage.ms)
        assert sum(stage.by_engine.values()) == pytest.approx(stage.ms)
        assert all(ms >= 0 for ms in stage.by_operator.values())
        assert list(stage.by_engine.values()) == sorted(stage.by_engine.values(), reverse=True)
        assert stage.bound == next(iter(stage.by_engine))


def test_no_engine_is_busy_longer_than_the_stage(variant) -> None:
    for stage in variant.breakdown:
        assert set(stage.busy) == set(ENGINES)
        assert all(0 <= share <= 1 + 1e-9 for share in stage.busy.values())
        assert 0 <= stage.mac_utilisation <= 1


def test_every_weight_crosses_the_dram_interface_once(variant) -> None:
    weights = variant.memory.weights
    loaded = {stage.name: stage.dram_bytes.get("ld:param", 0) for stage in variant.breakdown}
    assert loaded["vision"] == pytest.approx(weights["vision"], rel=1e-3)
    assert loaded["prefill"] == pytest.approx(weights["layers"], rel=1e-3)
    assert loaded["decode"] == pytest.approx(weights["layers"], rel=1e-3)
    assert loaded["post"] == pytest.approx(weights["post"], rel=1e-3)


def test_decode_reads_the_compiled_kv_cache(variant) -> None:
    decode = variant.breakdown[-1]
    assert decode.dram_bytes["ld:input"] > variant.memory.kv_cache


def test_macs_are_those_of_the_model(variant) -> None:
    """By hand: 362.9 GMAC at 448 px, 4954.5 MMAC for a layer on 320 tokens."""
    macs = {stage.name: stage.macs for stage in variant.breakdown}
    assert macs["vision"] == pytest.approx(362_941.6e6, rel=1e-3)
    assert macs["prefill"] == pytest.approx(24 * 4954.52e6, rel=1e-3)
    assert macs["decode"] == pytest.approx(24 * 16.74e6, rel=1e-2)


def test_chunks_are_stages_of_their_own() -> None:
    overrides = {"build.prefill_chunk": 128}
    result = axsim.run(
        "internvl2_1b", "ax650n", variants=["448-u8"], overrides=overrides, timing_only=True
    )[0]
    names = [stage.name for stage in result.breakdown]
    assert names[2:5] == ["prefill 1", "prefill 2", "prefill 3"]
    first, second, third = (stage.ms for stage in result.breakdown[2:5])
    assert first < second < third  # each has more history to attend to
