"""Towers and projectors against Hugging Face transformers, from config.json on."""

from math import prod

import numpy as np
import pytest

from axsim.models.checkpoint import Checkpoint
from axsim.models.hf_config import model_config
from axsim.models.prompt import prompt_of
from axsim.models.weights import embedded
from tests.models.running import Loop, relative, run_vision_outputs
from tests.models.seeded import SeededWeights, image
from tests.models.small_vision import ALONE, JOINED

pytestmark = pytest.mark.oracle
hf = pytest.importorskip("tests.models.hf_vision", exc_type=ImportError)

BOUND = 1e-5


@pytest.fixture(scope="module", params=[*JOINED, *ALONE])
def model(request):
    description = JOINED.get(request.param) or ALONE[request.param]
    return description, model_config(description), hf.build(description)


def size_of(config):
    """The tower's own size; those of Qwen, which have none, at 112 pixels."""
    return config.vision.image_size if config.vision.image_size < 400 else 112


def test_parameters(model):
    _, config, theirs = model
    ours = sum(prod(shape) for shape in SeededWeights(config).shapes.values())
    assert ours == hf.parameters(theirs)


def test_a_saved_checkpoint_runs_from_its_files(model, tmp_path):
    description, config, theirs = model
    theirs.save_pretrained(tmp_path)
    checkpoint = Checkpoint(tmp_path)
    assert checkpoint.config == config
    pixels = image(size_of(config))
    got = run_vision_outputs(checkpoint, config, pixels)
    expected = hf.outputs(description, config, theirs, pixels)
    assert list(got) == list(expected)
    for name, value in expected.items():
        assert relative(got[name], value) <= BOUND, name


@pytest.mark.parametrize(
    "kind",
    [
        "qwen2_vl",
        "qwen2_5_vl",
        "qwen3_vl",
        "gemma3",
        "llava",
        "smolvlm",
        "paligemma",
        "paddleocr_vl",
    ],
)
def test_text_around_an_image(kind, tmp_path):
    """Logits of a prompt with an image in it, prefilled in chunks and then token by token."""
    description = JOINED[kind]
    config, theirs = model_config(description), hf.build(description)
    theirs.save_pretrained(tmp_path)
    checkpoint = Checkpoint(tmp_path)
    pixels = image(112)
    seen = np.concatenate(list(run_vision_outputs(checkpoint, config, pixels).values()))
    tokens = np.array([5, 9, 7, *[1] * seen.shape[1], 11, 12, 13, 14, 15])
    rows = embedded(checkpoint, config.decoder, [int(t) for t in tokens])
    prompt = prompt_of(config, rows, tokens == 1, [seen], 112)
    cut = len(tokens) - 3
    asked = prompt_of(config, rows[:cut].copy(), tokens[:cut] == 1, [seen], 112)
    loop = Loop(checkpoint, config.decoder, kv_len=100)
    loop.prompt = asked
    half = {"nothing": cut // 2, "image": cut - 2}.get(config.projector.sees_ahead, cut)
    out = [loop.prefill(prompt.rows[i:j]) for i, j in ((0, half), (half, cut)) if j > i]
    out += [loop.decode(prompt.rows[i : i + 1]) for i in range(cut, len(tokens))]
    expected = hf.logits(description, config, theirs, pixels, tokens, cut)
    assert relative(loop.logits(np.concatenate(out)), expected) <= BOUND
