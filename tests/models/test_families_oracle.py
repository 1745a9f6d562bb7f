"""Every decoder family against Hugging Face transformers, from config.json on."""

import numpy as np
import pytest

from axsim.models.checkpoint import Checkpoint
from axsim.models.config import ModelConfig
from axsim.models.hf_config import model_config
from axsim.models.weights import embedded
from tests.models.running import Loop, relative
from tests.models.seeded import SeededWeights, uniform
from tests.models.small import DECODERS

pytestmark = pytest.mark.oracle
hf = pytest.importorskip("tests.models.hf", exc_type=ImportError)

BOUND = 1e-5
TOKENS = 26


@pytest.fixture(scope="module", params=DECODERS)
def model(request):
    description = DECODERS[request.param]
    cfg = model_config(description).decoder
    weights = SeededWeights(ModelConfig(cfg))
    return cfg, weights, hf.causal(description, weights, cfg)


def tokens(cfg):
    return [int(t) for t in (uniform("tokens", (TOKENS,)) + 1) / 2 * cfg.vocab_size]


def test_parameters(model):
    _, weights, theirs = model
    ours = sum(int(np.prod(shape)) for shape in weights.shapes.values())
    assert ours == sum(p.numel() for p in theirs.parameters())


def test_prefill_in_one_chunk(model):
    cfg, weights, theirs = model
    loop = Loop(weights, cfg, kv_len=40)
    got = loop.logits(loop.prefill(embedded(weights, cfg, tokens(cfg))))
    assert relative(got, hf.token_logits(theirs, tokens(cfg))) <= BOUND


def test_prefill_in_chunks_then_decode(model):
    cfg, weights, theirs = model
    x = embedded(weights, cfg, tokens(cfg))
    loop = Loop(weights, cfg, kv_len=40)
    out = [loop.prefill(x[i : i + 8]) for i in (0, 8)]
    out += [loop.decode(x[i : i + 1]) for i in range(16, TOKENS)]
    got = loop.logits(np.concatenate(out))
    assert relative(got, hf.token_logits(theirs, tokens(cfg))) <= BOUND


def test_a_saved_checkpoint_runs_from_its_files(model, tmp_path):
    cfg, _, theirs = model
    theirs.save_pretrained(tmp_path)
    checkpoint = Checkpoint(tmp_path)
    assert checkpoint.config.decoder == cfg
    loop = Loop(checkpoint, cfg, kv_len=40)
    got = loop.logits(loop.prefill(embedded(checkpoint, cfg, tokens(cfg))))
    assert relative(got, hf.token_logits(theirs, tokens(cfg))) <= BOUND
