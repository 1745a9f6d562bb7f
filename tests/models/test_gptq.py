"""Packed 4-bit matrices of GPTQ checkpoints."""

from __future__ import annotations

import json

import numpy as np
import pytest

import axsim
from axsim.errors import InputError
from axsim.models.checkpoint import Checkpoint
from axsim.models.config import DecoderConfig, ModelConfig
from axsim.models.gptq import Gptq
from axsim.numerics.stored import StoredWeights
from axsim.spec.from_checkpoint import workload_text
from tests.models import layouts
from tests.models.seeded import SeededWeights
from tests.models.writing import decoder_json, stored, write

MODEL = ModelConfig(DecoderConfig("qwen2", 1, 256, 384, 4, 2, 96))
QUERY = "language_model.model.layers.0.self_attn.q_proj.weight"


def packed(codes, bits, axis):
    """uint8 codes as int32 words along ``axis``, the first code lowest."""
    per = 32 // bits
    codes = np.moveaxis(codes, axis, 0).astype(np.uint64)
    words = sum(codes[i::per] << np.uint64(bits * i) for i in range(per))
    return np.moveaxis(words.astype(np.uint32), 0, axis).view(np.int32).copy()


def gptq(rows, inputs, seed, bits=4, group=128, offset=1, sym=True, order=None):
    """Stored parts of a random matrix, and its float32 values [rows, inputs]."""
    rng = np.random.default_rng(seed)
    groups = inputs // group
    codes = rng.integers(0, 2**bits, (inputs, rows))
    middle = 2 ** (bits - 1)
    zeros = np.full((groups, rows), middle)
    if not sym:
        zeros = rng.integers(1, 2**bits, (groups, rows))
    scales = rng.uniform(0.01, 0.05, (groups, rows)).astype(np.float16)
    index = np.arange(inputs) // group
    if order is not None:
        index = order(index)
    values = (codes - zeros[index]) * scales[index].astype(np.float32)
    parts = {
        "qweight": packed(codes, bits, 0),
        "qzeros": packed(zeros - offset, bits, 1),
        "scales": scales,
        "g_idx": index.astype(np.int32),
    }
    return parts, values.T.astype(np.float32)


@pytest.mark.parametrize("bits", [4, 8])
@pytest.mark.parametrize("sym", [True, False])
@pytest.mark.parametrize("offset", [0, 1])
def test_values(bits, sym, offset):
    parts, values = gptq(64, 256, 1, bits, 64, offset, sym)
    found = Gptq(bits, 64, offset).dequantise(parts.__getitem__)
    np.testing.assert_allclose(found, values, rtol=1e-6)
    shapes = Gptq(bits, 64, offset).shapes(64, 256)
    assert shapes == {name: part.shape for name, part in parts.items()}


def test_symmetric_codes_are_kept_and_others_are_not():
    method = Gptq(4, 64, 1)
    parts, values = gptq(32, 128, 2, group=64)
    codes, scales, group = method.symmetric(parts.__getitem__)
    assert codes.dtype == np.int8
    assert (codes.min(), codes.max()) == (-8, 7)
    np.testing.assert_allclose(codes * np.repeat(scales, group, axis=1), values, rtol=1e-6)
    other, _ = gptq(32, 128, 2, group=64, sym=False)
    assert method.symmetric(other.__getitem__) is None
    other, mixed = gptq(32, 128, 2, group=64, order=lambda index: index[::-1])
    assert method.symmetric(other.__getitem__) is None
    np.testing.assert_allclose(method.dequantise(other.__getitem__), mixed, rtol=1e-6)


def write_gptq(folder, **options):
    """A checkpoint whose layers are packed; float32 values by stored name."""
    tensors = stored(SeededWeights(MODEL), MODEL, layouts.PLAIN)
    values = {}
    for seed, name in enumerate([n for n in tensors if n.endswith("proj.weight")]):
        rows, inputs = tensors.pop(name).shape
        parts, values[name] = gptq(rows, inputs, seed, **options)
        stem = name.removesuffix(".weight")
        tensors |= {f"{stem}.{part}": array for part, array in parts.items()}
        tensors.setdefault(f"{stem}.bias", np.zeros(rows, np.float16))
    config = decoder_json(MODEL.decoder) | {
        "quantization_config": {
            "quant_method": "gptq", "bits": 4, "group_size": 128, "sym": True, "desc_act": False
        }
    }  # fmt: skip
    write(folder, config, tensors)
    return values, tensors, config


def test_a_checkpoint_of_packed_layers(tmp_path):
    values, _, _ = write_gptq(tmp_path)
    checkpoint = Checkpoint(tmp_path)
    for name, expected in values.items():
        np.testing.assert_allclose(checkpoint(f"language_model.{name}"), expected, rtol=1e-6)
    matrix = StoredWeights(checkpoint, "s4")(QUERY)
    assert matrix.group == 128
    np.testing.assert_allclose(matrix.dequantise(), checkpoint(QUERY), rtol=1e-6)
    assert StoredWeights(checkpoint, "s8")(QUERY).dtype == "s8"
    head = StoredWeights(checkpoint, "s4")("language_model.lm_head.weight")
    assert head.dtype == "s4"


def test_it_runs_with_its_own_codes(tmp_path):
    write_gptq(tmp_path)
    path = tmp_path / "w.yaml"
    path.write_text(workload_text(tmp_path), encoding="utf-8")
    keys = {"request.prompt_tokens": 8, "request.new_tokens": 2}
    keys["build.post_weight_dtype"] = "bf16"
    result = axsim.run(path, "ax650n", checkpoint=tmp_path, overrides=keys)
    assert result["s4"].workload.build.weight_dtype == "s4"
    # bf16 activations alone: rounding the codes a second time would cost far more
    assert result["s4"].numerics.logits_cosine > 0.9999
    assert result["s4"].numerics.synthetic is False


def test_wrong_parts_are_listed(tmp_path):
    _, tensors, config = write_gptq(tmp_path)
    stem = "model.layers.0.mlp.up_proj"
    del tensors[f"{stem}.scales"]
    tensors[f"{stem}.qzeros"] = tensors[f"{stem}.qzeros"][:1]
    tensors["model.layers.0.mlp.gate_proj.bias"] += 1
    write(tmp_path, config, tensors)
    with pytest.raises(InputError) as error:
        Checkpoint(tmp_path)
    message = str(error.value)
    assert f"1 missing: {stem}.scales" in message
    assert f"1 wrong shape: {stem}.qzeros is [1, 48], not [2, 48]" in message
    assert "1 left over: model.layers.0.mlp.gate_proj.bias" in message


def test_other_methods_are_refused(tmp_path):
    _, _, config = write_gptq(tmp_path)
    config["quantization_config"]["quant_method"] = "awq"
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(InputError, match="awq with 4 bits; supported: gptq with 4 or 8"):
        Checkpoint(tmp_path)
