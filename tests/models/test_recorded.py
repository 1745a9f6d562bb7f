"""Float32 numerics against outputs of transformers recorded by tests/record_oracle.py."""

from dataclasses import replace

import numpy as np
import pytest

from axsim.models.config import ModelConfig
from tests.models.running import Loop, relative, run_vision
from tests.models.seeded import DECODERS, INTERNVL, SeededWeights, embeddings, image
from tests.record_oracle import RECORDED

BOUND = 1e-5


@pytest.fixture(scope="module")
def recorded():
    with np.load(RECORDED) as file:
        return dict(file)


@pytest.mark.parametrize("size", [56, 84, 112])
def test_vision(recorded, size):
    weights = SeededWeights(INTERNVL)
    tower = run_vision(weights, replace(INTERNVL, projector=None), image(size))
    assert relative(tower, recorded[f"tower_{size}"]) <= BOUND
    features = run_vision(weights, INTERNVL, image(size))
    assert relative(features, recorded[f"features_{size}"]) <= BOUND


@pytest.mark.parametrize("family", DECODERS)
def test_one_chunk(recorded, family):
    cfg = DECODERS[family]
    loop = Loop(SeededWeights(ModelConfig(cfg)), cfg, kv_len=40)
    got = loop.logits(loop.prefill(embeddings(30, cfg.hidden_size)))
    assert relative(got, recorded[f"logits_{family}"]) <= BOUND


@pytest.mark.parametrize("family", DECODERS)
def test_chunks_and_decode(recorded, family):
    cfg = DECODERS[family]
    x = embeddings(30, cfg.hidden_size)
    loop = Loop(SeededWeights(ModelConfig(cfg)), cfg, kv_len=40)
    out = [loop.prefill(x[i : i + 8]) for i in (0, 8, 16)]
    out += [loop.decode(x[i : i + 1]) for i in range(24, 30)]
    got = loop.logits(np.concatenate(out))
    assert relative(got, recorded[f"logits_{family}"]) <= BOUND


def test_a_wrong_mask_is_noticed(recorded):
    """The bound can fail: the same run without history differs by far more."""
    cfg = DECODERS["qwen2"]
    x = embeddings(30, cfg.hidden_size)
    loop = Loop(SeededWeights(ModelConfig(cfg)), cfg, kv_len=40)
    first = loop.prefill(x[:15])
    loop.k[:, :, 3] += 0.1
    got = loop.logits(np.concatenate([first, loop.prefill(x[15:])]))
    assert relative(got, recorded["logits_qwen2"]) > 100 * BOUND


def test_fully_masked_rows_stay_finite():
    """Padded rows of a prefill chunk attend to nothing: uniform, never NaN."""
    cfg = DECODERS["qwen2"]
    loop = Loop(SeededWeights(ModelConfig(cfg)), cfg, kv_len=40)
    mask = np.full((8, 8), np.float32(-65536))
    assert np.isfinite(loop._layers(embeddings(8, cfg.hidden_size), 0, mask)).all()
