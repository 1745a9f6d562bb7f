"""Checkpoints in their true layouts, whole and broken."""

import json

import numpy as np
import pytest

from axsim.errors import InputError
from axsim.models.checkpoint import Checkpoint, architecture, eos_token_ids
from axsim.models.config import ModelConfig, RopeScaling
from axsim.models.hf_config import model_config
from axsim.models.safetensors import SafetensorsFile
from axsim.models.weights import EMBED_TOKENS, tensor_shapes
from tests.models import layouts
from tests.models.seeded import DECODERS, INTERNVL, SeededWeights
from tests.models.writing import (
    decoder_json,
    internvl_chat_json,
    internvl_hf_json,
    stored,
    write,
    write_safetensors,
)


def assert_holds(checkpoint: Checkpoint, weights: SeededWeights) -> None:
    for name, shape in tensor_shapes(checkpoint.config).items():
        value = checkpoint(name)
        assert value.dtype == np.float32
        assert value.shape == shape
        np.testing.assert_array_equal(value, weights(name), err_msg=name)


@pytest.mark.parametrize("shards", [1, 3])
@pytest.mark.parametrize(
    ("names", "config"),
    [
        (layouts.OPENGVLAB, internvl_chat_json),
        (layouts.HF_INTERNVL, internvl_hf_json),
        (layouts.HF_INTERNVL_4_52, internvl_hf_json),
    ],
    ids=["opengvlab", "hf", "hf-4.52"],
)
def test_internvl(tmp_path, names, config, shards):
    weights = SeededWeights(INTERNVL)
    write(tmp_path, config(INTERNVL), stored(weights, INTERNVL, names), shards)
    checkpoint = Checkpoint(tmp_path)
    assert checkpoint.config == INTERNVL
    assert_holds(checkpoint, weights)


@pytest.mark.parametrize("family", DECODERS)
def test_plain_decoders(tmp_path, family):
    model = ModelConfig(DECODERS[family])
    weights = SeededWeights(model)
    tensors = stored(weights, model, layouts.PLAIN)
    tensors["model.layers.0.self_attn.rotary_emb.inv_freq"] = np.zeros(8, np.float32)
    write(tmp_path, decoder_json(DECODERS[family]), tensors)
    checkpoint = Checkpoint(tmp_path)
    assert checkpoint.config == model
    assert_holds(checkpoint, weights)


def test_rows_of_the_embedding_table(tmp_path):
    weights = SeededWeights(INTERNVL)
    write(tmp_path, internvl_chat_json(INTERNVL), stored(weights, INTERNVL, layouts.OPENGVLAB))
    checkpoint = Checkpoint(tmp_path)
    rows = checkpoint.rows(EMBED_TOKENS, [210, 0, 7, 7])
    np.testing.assert_array_equal(rows, weights(EMBED_TOKENS)[[210, 0, 7, 7]])
    for bad in (211, -1):
        with pytest.raises(IndexError):
            checkpoint.rows(EMBED_TOKENS, [0, bad])


def test_float16_and_float64_tensors(tmp_path):
    file = tmp_path / "x.safetensors"
    values = {"half": np.array([1.5, -2], np.float16), "double": np.array([[0.1]])}
    write_safetensors(file, values)
    from axsim.models.safetensors import SafetensorsFile

    opened = SafetensorsFile(file)
    assert opened.float32("half").tolist() == [1.5, -2]
    assert opened.float32("double")[0, 0] == np.float32(0.1)


def test_one_error_lists_every_wrong_tensor(tmp_path):
    tensors = stored(SeededWeights(INTERNVL), INTERNVL, layouts.OPENGVLAB)
    del tensors["mlp1.1.bias"], tensors["vision_model.encoder.layers.1.ls2"]
    tensors["mlp1.3.weight"] = tensors["mlp1.3.weight"][:-1]
    tensors["vision_model.head.weight"] = np.zeros(3, np.float32)
    write(tmp_path, internvl_chat_json(INTERNVL), tensors)
    with pytest.raises(InputError) as error:
        Checkpoint(tmp_path)
    message = str(error.value)
    assert "2 missing: mlp1.1.bias; vision_model.encoder.layers.1.ls2" in message
    assert "1 wrong shape: mlp1.3.weight is [63, 64], not [64, 64]" in message
    assert "1 left over: vision_model.head.weight" in message


def test_a_long_list_is_cut(tmp_path):
    tensors = stored(SeededWeights(INTERNVL), INTERNVL, layouts.OPENGVLAB)
    kept = {n: t for n, t in tensors.items() if "encoder" not in n}
    write(tmp_path, internvl_chat_json(INTERNVL), kept)
    with pytest.raises(InputError, match=r"42 missing: .*; …"):
        Checkpoint(tmp_path)


def test_an_untied_decoder_needs_its_head(tmp_path):
    model = ModelConfig(DECODERS["llama"])
    tensors = stored(SeededWeights(model), model, layouts.PLAIN)
    del tensors["lm_head.weight"]
    write(tmp_path, decoder_json(model.decoder), tensors)
    with pytest.raises(InputError, match=r"missing: lm_head\.weight"):
        Checkpoint(tmp_path)


def test_broken_files(tmp_path):
    with pytest.raises(InputError, match=r"config\.json cannot be read"):
        Checkpoint(tmp_path)
    (tmp_path / "config.json").write_text("{", encoding="utf-8")
    with pytest.raises(InputError, match="is no JSON file"):
        Checkpoint(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps(decoder_json(DECODERS["llama"])))
    with pytest.raises(InputError, match=r"has neither model\.safetensors nor"):
        Checkpoint(tmp_path)
    file = tmp_path / "model.safetensors"
    for content in (b"", b"\xff" * 100, (10).to_bytes(8, "little") + b"not json!!"):
        file.write_bytes(content)
        with pytest.raises(InputError, match=r"model\.safetensors is no"):
            Checkpoint(tmp_path)
    model = ModelConfig(DECODERS["llama"])
    write_safetensors(file, stored(SeededWeights(model), model, layouts.PLAIN))
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(InputError, match=r"is cut short: .* lies beyond its end"):
        Checkpoint(tmp_path)


def test_a_missing_shard_is_named(tmp_path):
    model = ModelConfig(DECODERS["llama"])
    tensors = stored(SeededWeights(model), model, layouts.PLAIN)
    write(tmp_path, decoder_json(model.decoder), tensors, shards=2)
    (tmp_path / "model-00002-of-00002.safetensors").unlink()
    with pytest.raises(InputError, match="model-00002-of-00002"):
        Checkpoint(tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model_type": "bert"}, "model_type is 'bert'; known: internvl_chat"),
        ({"model_type": "qwen3_moe"}, "mixtures of experts are not supported"),
        ({"hidden_act": "mish"}, "hidden_act is 'mish'; known: silu"),
        ({"architectures": ["BitnetForCausalLM"]}, "architectures has BitnetForCausalLM"),
        ({"architectures": ["Qwen2ForSequenceClassification"]}, "supported: LlamaForCausalLM"),
        ({"num_attention_heads": 5}, "no multiple of num_attention_heads"),
        ({"rope_scaling": {"type": "xpos"}}, "has type 'xpos'; known: default"),
        ({"hidden_size": None}, "config.json"),
    ],
)
def test_architectures_that_cannot_be_built(change, message):
    with pytest.raises(InputError, match=message):
        model_config(decoder_json(DECODERS["llama"]) | change)


def test_missing_key():
    config = internvl_chat_json(INTERNVL)
    del config["vision_config"]["patch_size"]
    with pytest.raises(InputError, match=r"config\.json has no key patch_size"):
        model_config(config)


def test_rope_scaling():
    config = decoder_json(DECODERS["llama"])
    scaling = {
        "rope_type": "llama3",
        "factor": 32.0,
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
        "original_max_position_embeddings": 8192,
    }
    decoder = model_config(config | {"rope_scaling": scaling}).decoder
    assert decoder.rope_scaling == RopeScaling("llama3", 32.0)
    dynamic = {"rope_scaling": {"type": "dynamic", "factor": 2.0}}
    assert model_config(config | dynamic).decoder.rope_scaling is None


@pytest.mark.parametrize(
    ("generation", "config", "expected"),
    [
        ({"eos_token_id": [7, 9]}, {"eos_token_id": 3}, (7, 9)),
        ({"eos_token_id": 7}, {}, (7,)),
        ({"temperature": 1.0}, {"eos_token_id": 3}, (3,)),
        (None, {"eos_token_id": [3, 4]}, (3, 4)),
        (None, {"eos_token_id": 3, "llm_config": {"eos_token_id": 5}}, (5,)),
        (None, {"eos_token_id": 3, "text_config": {"eos_token_id": None}}, (3,)),
        (None, {}, None),
    ],
)
def test_the_tokens_that_end_an_answer(tmp_path, generation, config, expected):
    if generation is not None:
        (tmp_path / "generation_config.json").write_text(json.dumps(generation))
    assert eos_token_ids(tmp_path, config) == expected


def test_an_end_that_is_no_id(tmp_path):
    with pytest.raises(InputError, match=r"config\.json: eos_token_id is \['</s>'\]; allowed"):
        eos_token_ids(tmp_path, {"eos_token_id": ["</s>"]})


def test_pixels_are_normalised_as_the_preprocessor_says(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps(internvl_chat_json(INTERNVL)))
    assert architecture(tmp_path) == INTERNVL
    told = {"image_mean": [0.5, 0.5, 0.5], "image_std": [0.25, 0.5, 1]}
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(told))
    vision = architecture(tmp_path).vision
    assert (vision.image_mean, vision.image_std) == ((0.5, 0.5, 0.5), (0.25, 0.5, 1.0))
    (tmp_path / "preprocessor_config.json").write_text('{"image_mean": 3}')
    with pytest.raises(InputError, match="image_mean is 3; allowed: a number for each channel"):
        architecture(tmp_path)


def test_eight_bit_floats_are_what_torch_makes_of_them(tmp_path):
    torch = pytest.importorskip("torch")
    for name, dtype in (("F8_E4M3", torch.float8_e4m3fn), ("F8_E5M2", torch.float8_e5m2)):
        bits = np.arange(256, dtype=np.uint8)
        header = {"x": {"dtype": name, "shape": [256], "data_offsets": [0, 256]}}
        text = json.dumps(header).encode()
        path = tmp_path / f"{name}.safetensors"
        path.write_bytes(len(text).to_bytes(8, "little") + text + bits.tobytes())
        expected = torch.from_numpy(bits.copy()).view(dtype).float().numpy()
        np.testing.assert_array_equal(SafetensorsFile(path).float32("x"), expected)
