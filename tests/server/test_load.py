"""What a service is made from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("tokenizers")
pytest.importorskip("PIL")

from PIL import Image

from axsim.compiler.partition import Deployment
from axsim.errors import InputError
from axsim.inputs.template import Message
from axsim.models.config import ModelConfig
from axsim.models.hf_config import model_config
from axsim.runs.run import run_kernels, time_run
from axsim.runs.sources import Sources
from axsim.server.engine import Order
from axsim.server.load import load, warm_up
from axsim.server.service import Service
from axsim.spec.chip import load_chip
from axsim.spec.workload import RequestSection, Workload
from tests.models.small import WHISPER
from tests.runs import tiny
from tests.runs.talking import MODEL, write_model

CHIP = load_chip("ax630c")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("talking"))


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = tmp_path_factory.mktemp("photos")
    random = np.random.default_rng(3)
    for number in range(2):
        pixels = random.integers(0, 200, (50, 70, 3), np.uint8)
        Image.fromarray(pixels).save(found / f"{number}.png")
    return found


def workload(**build: Any) -> Workload:
    keys = {"prefill_chunk": 64, "kv_cache_len": 511, **build}
    return Workload.of("talking", MODEL, build=keys)


def tokens(service: Service, text: str, picture: Path | None = None) -> list[int]:
    """The answer to a question."""
    pictures = [] if picture is None else [Image.open(picture).convert("RGB")]
    said = Message("user", (*[""] * len(pictures), "\n" * len(pictures) + text))
    question = service.prompts.question(service.workload, [said], pictures)
    service.engine.answer(Order(question, RequestSection(), 8), lambda _: None, lambda: True)
    kept = service.engine.slots._kept[0].rows
    return [row for row in kept[len(question.tokens) :] if isinstance(row, int)]


@pytest.mark.parametrize("dtype", ["u8", "u16", "bf16"])
def test_it_answers_what_a_run_answers(folder: Path, photos: Path, dtype: str) -> None:
    """The same tokens as ``axsim run --prompt`` on the same weights, ranges and picture."""
    from axsim.inputs.chat import Chat

    build = workload(vision_dtype=dtype)
    chat = Chat(folder, "what?", photos / "0.png")
    timed = time_run(build, CHIP, chat=chat, overrides={"request.new_tokens": 8})
    images = None if dtype == "bf16" else photos
    sources = Sources.of(folder, images)
    *_, run = run_kernels(timed, sources, chat=chat)
    service = load(Deployment(build, CHIP), dtype, sources)
    expected = [token.id for token in run[0].tokens]
    assert tokens(service, "what?", photos / "0.png") == expected[:-1]


@pytest.mark.parametrize(
    ("build", "sources", "message"),
    [
        ({}, {}, "ranges of U8 and U16 activations need pictures: --images DIR"),
        ({"vision_dtype": "bf16"}, {"images": "photos"}, "no vision part in u8 or u16"),
        ({"vision_dtype": "bf16"}, {"calibrate_on": "seeded"}, "no vision part in u8 or u16"),
        ({}, {"images": "nowhere"}, "nowhere is no folder of pictures"),
    ],
)
def test_pictures_that_are_missing_or_have_no_effect(
    folder: Path, build: dict[str, Any], sources: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        load(Deployment(workload(**build), CHIP), "tiny", Sources.of(folder, **sources))


def test_what_is_no_language_model_or_another_one(folder: Path) -> None:
    tower = tiny.workload(ModelConfig(None, tiny.VISION, None))
    with pytest.raises(InputError, match="tiny has no decoder"):
        load(Deployment(tower, CHIP), "tiny")
    build = {"prefill_chunk": 4, "kv_cache_len": 22}
    hearing = Workload.of("heard", model_config(WHISPER), build=build, request={"text_tokens": 4})
    with pytest.raises(InputError, match="heard answers a recording or a picture alone"):
        load(Deployment(hearing, CHIP), "tiny")
    with pytest.raises(InputError, match="holds another architecture than tiny"):
        load(Deployment(tiny.workload(), CHIP), "tiny", Sources.of(folder, calibrate_on="seeded"))


def test_a_system_prompt_that_is_too_long() -> None:
    deployment = Deployment(tiny.workload(), CHIP)
    with pytest.raises(InputError, match="begin with 54 tokens; allowed: 39"):
        load(deployment, "tiny", system="a " * 50, timing_only=True)
    service = load(deployment, "tiny", system="a " * 35, timing_only=True)
    assert warm_up(service) is not None
    assert service.engine.slots.head == service.engine.slots.tokens == 39
