"""Checkpoint folders become workloads that load and run."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

import axsim
from axsim.errors import InputError
from axsim.models.config import ModelConfig, RopeScaling
from axsim.spec.from_checkpoint import workload_text
from axsim.spec.workload import load_workload
from tests.models import internvl2, layouts
from tests.models.seeded import DECODERS, INTERNVL, SeededWeights
from tests.models.writing import (
    decoder_json,
    internvl_chat_json,
    internvl_hf_json,
    stored,
    write,
)


def imported(folder, description):
    """The workload of a folder with config.json alone."""
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps(description), encoding="utf-8")
    path = folder / "workload.yaml"
    path.write_text(workload_text(folder), encoding="utf-8")
    return load_workload(path)


def test_internvl2_1b_gives_the_shipped_workload(tmp_path):
    workload = imported(tmp_path / "InternVL2-1B", internvl_chat_json(internvl2.MODEL))
    shipped = load_workload("internvl2_1b")
    assert workload.name == shipped.name
    assert workload.model.config() == shipped.model.config() == internvl2.MODEL
    for name, variant in shipped.expand().items():
        found = workload.variant(name)
        for key in ("image_size", "prompt_tokens", "prefill_chunks", "images", "new_tokens"):
            assert getattr(found, key) == getattr(variant, key), (name, key)
        assert found.build.prefill_chunk == variant.build.prefill_chunk
        assert found.build.kv_cache_len == variant.build.kv_cache_len


@pytest.mark.parametrize("config", [internvl_chat_json, internvl_hf_json], ids=["chat", "hf"])
def test_both_internvl_layouts_with_their_weights_run_on_a_chip(tmp_path, config):
    names = layouts.OPENGVLAB if config is internvl_chat_json else layouts.HF_INTERNVL
    write(tmp_path, config(INTERNVL), stored(SeededWeights(INTERNVL), INTERNVL, names))
    path = tmp_path / "workload.yaml"
    path.write_text(workload_text(tmp_path), encoding="utf-8")
    workload = load_workload(path)
    assert workload.model.config() == INTERNVL
    result = axsim.run(path, "ax630c", timing_only=True)
    assert [each.name for each in result] == ["112-u8", "112-u16"]
    assert all(each.ttft_ms.value > 0 for each in result)


@pytest.mark.parametrize("family", DECODERS)
def test_plain_decoders(tmp_path, family):
    workload = imported(tmp_path, decoder_json(DECODERS[family]))
    assert workload.model.config() == ModelConfig(DECODERS[family])
    assert workload.variant_names == ("s8", "s4")
    assert axsim.run(workload, "ax650n", timing_only=True)["s4"].ttft_ms.value > 0


def test_long_context_correction_and_short_context(tmp_path):
    scaling = RopeScaling("llama3", 32.0, 1.0, 4.0, 8192)
    decoder = replace(DECODERS["llama"], rope_scaling=scaling)
    description = decoder_json(decoder) | {
        "max_position_embeddings": 96,
        "rope_scaling": {
            "rope_type": "llama3",
            "factor": 32.0,
            "low_freq_factor": 1.0,
            "high_freq_factor": 4.0,
            "original_max_position_embeddings": 8192,
        },
    }
    description["max_position_embeddings"] = 512
    workload = imported(tmp_path, description)
    assert workload.model.config().decoder == decoder
    assert workload.build.kv_cache_len == 511


def test_the_tokens_that_end_an_answer(tmp_path):
    description = decoder_json(DECODERS["qwen2"])
    assert imported(tmp_path, description).request.eos_token_id is None
    assert imported(tmp_path, description | {"eos_token_id": 9}).request.eos_token_id == (9,)
    generation = {"eos_token_id": [7, 9, 151645]}  # the last one is beyond this vocabulary
    (tmp_path / "generation_config.json").write_text(json.dumps(generation))
    assert imported(tmp_path, description).request.eos_token_id == (7, 9)


@pytest.mark.parametrize(
    ("bits", "weights", "stored"), [(8, "s8", "gptq"), (4, "s4", "padded"), (None, "s8", "padded")]
)
def test_how_weights_are_stored(tmp_path, bits, weights, stored):
    description = decoder_json(DECODERS["qwen2"])
    if bits:
        description["quantization_config"] = {"quant_method": "gptq", "bits": bits}
    build = imported(tmp_path, description).build
    assert (build.weight_dtype, build.weight_format) == (weights, stored)


def test_a_folder_with_an_awkward_name(tmp_path):
    folder = tmp_path / '7b: "my" #model'
    assert imported(folder, decoder_json(DECODERS["qwen2"])).name == folder.name


def test_what_is_no_checkpoint(tmp_path):
    with pytest.raises(InputError, match=r"config\.json cannot be read"):
        workload_text(tmp_path)
    with pytest.raises(InputError, match="model_type is 'bert'"):
        imported(tmp_path, {"model_type": "bert"})


def test_half_a_minute_of_sound_is_within_every_bound(tmp_path):
    """Whisper small's 3,000 frames are one row of 1,500 tokens, no square of them."""
    sizes = {"d_model": 768, "encoder_layers": 12, "decoder_layers": 12}
    heads = {"encoder_attention_heads": 12, "decoder_attention_heads": 12}
    workload = imported(tmp_path, {"model_type": "whisper", **sizes, **heads})
    assert workload.image_size == 3000
    assert workload.model.config().vision.tokens(3000) == 1500
