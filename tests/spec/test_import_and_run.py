"""What import accepts, run takes with the checkpoint; and import looks at no weights."""

from __future__ import annotations

import json

import numpy as np
import pytest

from axsim.compiler.partition import Deployment
from axsim.errors import InputError
from axsim.models.checkpoint import Checkpoint
from axsim.models.safetensors import SafetensorsFile
from axsim.runs.checkpoints import open_checkpoint
from axsim.spec.chip import load_chip
from axsim.spec.from_checkpoint import workload_text
from axsim.spec.workload import load_workload
from tests.models import layouts
from tests.models.seeded import INTERNVL, SeededWeights
from tests.models.small import DECODERS
from tests.models.writing import internvl_chat_json, stored, write

CHANGES = {
    "nothing": {},
    "8-bit floats": {"quantization_config": {"quant_method": "fp8"}},
    "AWQ": {"quantization_config": {"quant_method": "awq", "bits": 4}},
    "bitsandbytes": {"quantization_config": {"quant_method": "bitsandbytes", "load_in_4bit": True}},
    "GPTQ of 3 bits": {"quantization_config": {"quant_method": "gptq", "bits": 3}},
    "no quantisation": {"quantization_config": {}},
    "quantisation in a word": {"quantization_config": "fp8"},
    "a reward head": {"architectures": ["LlamaForSequenceClassification"]},
    "BitNet": {"architectures": ["BitNetForCausalLM"]},
    "its own head": {"architectures": ["LlamaForCausalLM"]},
    "a tied head": {"tie_word_embeddings": True},
    "heads in a list": {"num_attention_heads": [4]},
    "no layers": {"num_hidden_layers": 0},
    "no rotation": {"rope_theta": 0.0},
    "a true number": {"num_key_value_heads": True},
    "a huge number": {"intermediate_size": 1e300},
    "an end that is true": {"eos_token_id": [True]},
    "an end": {"eos_token_id": [7, 9]},
    "an activation": {"hidden_act": "gelu_pytorch_tanh"},
    "an unknown activation": {"hidden_act": "swoosh"},
    "a short context": {"max_position_embeddings": 3},
    "experts": {"num_local_experts": 8},
}
ACCEPTED = {"nothing", "no quantisation", "its own head", "a tied head", "an end", "an activation"}


@pytest.mark.parametrize("change", CHANGES)
def test_what_import_accepts_the_run_takes(change, tmp_path):
    description = DECODERS["llama-bias"] | CHANGES[change]
    (tmp_path / "config.json").write_text(json.dumps(description), encoding="utf-8")
    try:
        text = workload_text(tmp_path)
    except InputError:
        assert change not in ACCEPTED
        return
    assert change in ACCEPTED
    (tmp_path / "w.yaml").write_text(text, encoding="utf-8")
    workload = load_workload(tmp_path / "w.yaml")
    model = workload.model.config()
    write(tmp_path, description, stored(SeededWeights(model), model, layouts.PLAIN))
    deployments = [Deployment(each, load_chip("ax650n")) for each in workload.expand().values()]
    assert open_checkpoint(tmp_path, deployments).config == model


HEAD = "language_model.lm_head.weight"
HEADERS = {
    "8-bit floats": {"dtype": "F8_E4M3", "shape": [1], "data_offsets": [0, 1]},
    "4-bit floats": {"dtype": "F4", "shape": [2], "data_offsets": [0, 1]},
    "cut short": {"dtype": "BF16", "shape": [9], "data_offsets": [0, 18]},
    "no tensors": None,
    "nothing": None,
}


def file_of(header: str) -> bytes:
    """A safetensors file of one byte of data."""
    data = json.dumps({HEAD: HEADERS[header]} if HEADERS[header] else {}).encode()
    whole = len(data).to_bytes(8, "little") + data + b"\x38"  # 1.0 in E4M3: exponent 7, bias 7
    return whole if header != "nothing" else b""


@pytest.mark.parametrize("header", HEADERS)
def test_import_looks_at_no_weights(header, tmp_path):
    """Those of a download that has not ended, or in a type of their own."""
    (tmp_path / "config.json").write_text(json.dumps(internvl_chat_json(INTERNVL)))
    alone = workload_text(tmp_path)
    file = tmp_path / "model.safetensors"
    file.write_bytes(file_of(header))
    assert workload_text(tmp_path) == alone
    file.unlink()
    index = {"weight_map": {HEAD: "model-00001-of-00002.safetensors"}}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    assert workload_text(tmp_path) == alone


def test_a_head_that_is_stored_apart_is_seen_where_there_are_weights(tmp_path):
    """InternVL's configurations contradict each other on it."""
    tensors = stored(SeededWeights(INTERNVL), INTERNVL, layouts.OPENGVLAB)
    apart = not INTERNVL.decoder.tie_word_embeddings
    write(tmp_path, internvl_chat_json(INTERNVL), tensors)
    assert Checkpoint(tmp_path).config.decoder.tie_word_embeddings is not apart
    (tmp_path / "w.yaml").write_text(workload_text(tmp_path))
    assert load_workload(tmp_path / "w.yaml").model.config() == Checkpoint(tmp_path).config


def test_weights_in_8_bit_floats_are_read(tmp_path):
    """Without a quantization_config they are numbers like any others."""
    (tmp_path / "f.safetensors").write_bytes(file_of("8-bit floats"))
    assert SafetensorsFile(tmp_path / "f.safetensors").float32(HEAD) == np.float32(1)
