"""Towers and projectors against Hugging Face transformers, from config.json on."""

import ast
import math
from math import prod
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from axsim.models.checkpoint import Checkpoint
from axsim.models.hf_config import model_config
from axsim.models.prompt import prompt_of
from axsim.models.smart_resize import smart_resize
from axsim.models.weights import embedded
from axsim.spec.video import Video
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


@pytest.mark.parametrize("size", [(56, 112), (140, 84), (84, 196), (140, 140)])
@pytest.mark.parametrize("kind", ["qwen2_vl", "qwen2_5_vl", "qwen3_vl", "paddleocr_vl"])
def test_other_shapes_of_pictures(kind, size, tmp_path):
    """Not square, and with windows of 56 pixels that are smaller at the edges."""
    description = JOINED[kind]
    config, theirs = model_config(description), hf.build(description)
    theirs.save_pretrained(tmp_path)
    if kind == "qwen3_vl":
        size = tuple(side * config.vision.patch_size // 14 for side in size)
    pixels = image(size)
    got = run_vision_outputs(Checkpoint(tmp_path), config, pixels)
    for name, value in hf.outputs(description, config, theirs, pixels).items():
        assert relative(got[name], value) <= BOUND, name


def of_transformers(module: str, name: str):
    """A function of a module that can't be imported without torchvision, which it does not use."""
    import torch
    import transformers

    source = Path(transformers.__file__).parent / "models" / f"{module}.py"
    tree = ast.parse(source.read_text())
    (found,) = [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef) and n.name == name]
    found.decorator_list = []
    head = ast.parse("from __future__ import annotations").body
    space = {"math": math, "torch": torch}
    exec(compile(ast.Module([*head, found], []), source, "exec"), space)
    return space[name]


def test_pictures_are_resized_as_transformers_does():
    theirs = of_transformers("qwen2_vl/image_processing_qwen2_vl", "smart_resize")
    rng = np.random.default_rng(0)
    for high, wide, factor in rng.integers((1, 1, 14), (4000, 4000, 33), (3000, 3)).tolist():
        bounds = sorted(rng.integers(1_000, 4_000_000, 2).tolist())
        try:
            expected = theirs(high, wide, factor, *bounds)
        except ValueError:
            with pytest.raises(ValueError, match="one side is"):
                smart_resize(high, wide, factor, *bounds)
        else:
            assert smart_resize(high, wide, factor, *bounds) == expected


def test_as_many_frames_as_transformers_samples():
    sample_frames = of_transformers("qwen2_vl/video_processing_qwen2_vl", "sample_frames")
    processor = SimpleNamespace(num_frames=None)
    for seconds in (1, 3.7, 10, 60, 900):
        for fps in (0.5, 1, 2, 7.5):
            made = SimpleNamespace(total_num_frames=int(seconds * 30), fps=30.0)
            frames = sample_frames(
                processor, made, temporal_patch_size=2, min_frames=4, max_frames=768, fps=fps
            )
            assert Video(seconds=float(seconds), fps=float(fps)).patches(2) == len(frames) // 2


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
