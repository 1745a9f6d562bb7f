"""Towers and projectors against Hugging Face transformers, from config.json on."""

from math import prod

import pytest

from axsim.models.checkpoint import Checkpoint
from axsim.models.hf_config import model_config
from tests.models.running import relative, run_vision_outputs
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
    return config.vision.image_size


def test_parameters(model):
    _, config, theirs = model
    ours = sum(prod(shape) for shape in SeededWeights(config).shapes.values())
    assert ours == hf.parameters(theirs)


def test_a_saved_checkpoint_runs_from_its_files(model, tmp_path):
    description, config, theirs = model
    theirs.save_pretrained(tmp_path)
    checkpoint = Checkpoint(tmp_path)
    assert checkpoint.config == config
    size = size_of(config) if config.vision.image_size < 400 else 112
    pixels = image(size)
    got = run_vision_outputs(checkpoint, config, pixels)
    expected = hf.outputs(description, config, theirs, pixels)
    assert list(got) == list(expected)
    for name, value in expected.items():
        assert relative(got[name], value) <= BOUND, name
