"""Every family from config.json alone: what import writes runs, with and without kernels."""

from __future__ import annotations

import json

import pytest

import axsim
from axsim.errors import InputError
from axsim.models.hf_config import model_config
from axsim.spec.from_checkpoint import workload_text
from axsim.spec.workload import load_workload
from tests.models.small import DECODERS, OTHERS
from tests.models.small_vision import ALONE, JOINED
from tests.models.test_resampler import TINY

MODELS = (
    DECODERS
    | OTHERS
    | {f"{name}-joined": each for name, each in JOINED.items()}
    | {"minicpmv-joined": TINY | {"architectures": ["MiniCPMV"]}}
    | {f"{name}-tower": each for name, each in ALONE.items()}
)


@pytest.fixture(params=MODELS)
def imported(request, tmp_path):
    """A small model's workload file."""
    description = MODELS[request.param]
    (tmp_path / "config.json").write_text(json.dumps(description), encoding="utf-8")
    path = tmp_path / "workload.yaml"
    path.write_text(workload_text(tmp_path), encoding="utf-8")
    assert load_workload(path).model.config() == model_config(description)
    return path


def test_it_is_timed_on_both_chips_and_computed(imported):
    workload = load_workload(imported)
    first = workload.variant_names[:1]
    keys: dict[str, object] = {"request.stop_at_eos": False, "request.new_tokens": 2}
    if workload.image_size > 200:  # those of Qwen's towers, which have no size of their own
        keys["request.image_size"] = 112 if workload.image_size % 112 == 0 else 96
    times = {}
    for chip in ("ax630c", "ax650n"):
        assert all(total(row) > 0 for row in axsim.run(imported, chip, timing_only=True))
        (row,) = axsim.run(imported, chip, variants=first, overrides=keys, timing_only=True)
        times[chip] = total(row)
    (row,) = axsim.run(imported, "ax630c", variants=first, overrides=keys)
    assert total(row) == times["ax630c"]
    assert row.numerics is not None
    for cosine in (row.numerics.vision_cosine, row.numerics.logits_cosine):
        assert cosine is None or 0.9 < cosine <= 1 + 1e-6


def total(row):
    """Milliseconds of vision and of the first token."""
    return sum(each.value for each in (row.vision_encode_ms, row.ttft_ms) if each is not None)


def test_longrope_serves_the_context_that_it_was_trained_for(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps(DECODERS["phi4-mini"]), encoding="utf-8")
    path = tmp_path / "workload.yaml"
    path.write_text(workload_text(tmp_path), encoding="utf-8")
    assert load_workload(path).build.kv_cache_len == 127
    with pytest.raises(InputError, match=r"build\.kv_cache_len: found 128.*allowed: up to 127"):
        load_workload(path, {"build.kv_cache_len": 128})
