"""Float32 numerics against Hugging Face transformers on small models."""

from dataclasses import replace

import numpy as np
import pytest

from axsim.models.checkpoint import Checkpoint
from axsim.models.config import ModelConfig
from tests.models import layouts
from tests.models.running import Loop, relative, run_vision
from tests.models.seeded import DECODERS, INTERNVL, SeededWeights, embeddings, image
from tests.models.writing import internvl_chat_json, stored, write

pytestmark = pytest.mark.oracle
hf = pytest.importorskip("tests.models.hf", exc_type=ImportError)

BOUND = 1e-5


@pytest.fixture(scope="module")
def internvl():
    weights = SeededWeights(INTERNVL)
    return weights, hf.internvl(INTERNVL, weights)


@pytest.fixture(scope="module", params=DECODERS)
def decoder(request):
    cfg = DECODERS[request.param]
    weights = SeededWeights(ModelConfig(cfg))
    return cfg, weights, hf.decoder(cfg, weights)


@pytest.mark.parametrize("size", [112, 84, 56, 140])
def test_tower(internvl, size):
    weights, model = internvl
    got = run_vision(weights, replace(INTERNVL, projector=None), image(size))
    assert relative(got, hf.tower_output(model, image(size))) <= BOUND


@pytest.mark.parametrize("size", [112, 84, 56])
def test_tower_and_projector(internvl, size):
    weights, model = internvl
    got = run_vision(weights, INTERNVL, image(size))
    assert relative(got, hf.image_features(model, image(size))) <= BOUND


def test_prefill_in_one_chunk(decoder):
    cfg, weights, model = decoder
    x = embeddings(24, cfg.hidden_size)
    loop = Loop(weights, cfg, kv_len=40)
    assert relative(loop.logits(loop.prefill(x)), hf.decoder_logits(model, x)) <= BOUND


@pytest.mark.parametrize("chunk", [5, 8, 12])
def test_prefill_in_chunks_then_decode(decoder, chunk):
    cfg, weights, model = decoder
    x = embeddings(30, cfg.hidden_size)
    loop = Loop(weights, cfg, kv_len=40)
    out = [loop.prefill(x[i : i + chunk]) for i in range(0, 24, chunk)]
    out += [loop.decode(x[i : i + 1]) for i in range(24 if 24 % chunk == 0 else 25, 30)]
    got = loop.logits(np.concatenate(out))
    assert relative(got, hf.decoder_logits(model, x)) <= BOUND


def test_llama3_and_linear_rope():
    import torch
    import transformers

    from axsim.models.config import RopeScaling
    from axsim.models.rope import rope_table

    for scaling in (RopeScaling("llama3", 8.0, 1.0, 4.0, 64), RopeScaling("linear", 4.0)):
        cfg = replace(DECODERS["llama"], rope_scaling=scaling)
        config = hf.text_config(cfg)
        config.rope_parameters = {
            "rope_theta": cfg.rope_theta,
            "rope_type": scaling.kind,
            "factor": scaling.factor,
            "low_freq_factor": scaling.low_freq_factor,
            "high_freq_factor": scaling.high_freq_factor,
            "original_max_position_embeddings": scaling.original_max_position_embeddings,
        }
        module = transformers.models.llama.modeling_llama.LlamaRotaryEmbedding(config)
        cos, sin = module(torch.zeros(1), torch.arange(300)[None])
        half = cfg.head_dim // 2
        ours = rope_table(cfg.rotation(0), cfg.rotary_dim, 300)
        np.testing.assert_allclose(ours[0], cos[0, :, :half].numpy(), atol=3e-5)
        np.testing.assert_allclose(ours[1], sin[0, :, :half].numpy(), atol=3e-5)


def test_saved_internvl_runs_from_its_files(internvl, tmp_path):
    _, model = internvl
    model.save_pretrained(tmp_path)
    checkpoint = Checkpoint(tmp_path)
    assert checkpoint.config == INTERNVL
    got = run_vision(checkpoint, checkpoint.config, image(84))
    assert relative(got, hf.image_features(model, image(84))) <= BOUND


def test_saved_decoder_runs_from_its_files(decoder, tmp_path):
    cfg, _, model = decoder
    model.save_pretrained(tmp_path, max_shard_size="100KB")
    checkpoint = Checkpoint(tmp_path)
    assert checkpoint.config.decoder == cfg
    x = embeddings(24, cfg.hidden_size)
    loop = Loop(checkpoint, cfg, kv_len=40)
    assert relative(loop.logits(loop.prefill(x)), hf.decoder_logits(model, x)) <= BOUND


def test_files_of_the_opengvlab_layout(internvl, tmp_path):
    """Picture to logits: tower, projector, prefill in chunks, and decode from the cache."""
    weights, model = internvl
    tensors = stored(weights, INTERNVL, layouts.OPENGVLAB)
    checkpoint = Checkpoint(write(tmp_path, internvl_chat_json(INTERNVL), tensors, shards=3))
    seen = run_vision(checkpoint, checkpoint.config, image(112))[0]
    assert relative(seen, hf.image_features(model, image(112))[0]) <= BOUND
    x = np.concatenate([embeddings(9, 64), seen, embeddings(12, 64)])  # 9 + 16 + 12 tokens
    loop = Loop(checkpoint, checkpoint.config.decoder, kv_len=40)
    out = [loop.prefill(x[i : i + 8]) for i in range(0, 32, 8)]
    out += [loop.decode(x[i : i + 1]) for i in range(32, 37)]
    assert relative(loop.logits(np.concatenate(out)), hf.decoder_logits(model, x)) <= BOUND
