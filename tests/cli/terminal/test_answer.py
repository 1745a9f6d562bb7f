"""``axsim run --prompt``: the answer, token by token."""

from __future__ import annotations

import json
import time

import numpy as np
import pytest

pytest.importorskip("tokenizers")
pytest.importorskip("PIL")

from PIL import Image

from axsim.fidelity.prediction import number
from axsim.inputs.tokenizer import Tokens
from axsim.models.checkpoint import Checkpoint
from axsim.show.report import content
from tests.cli.command import axsim
from tests.models.running import Loop, run_vision
from tests.runs.talking import MODEL, write_model
from tests.show.report.reading import Page

ASK = ["--chip", "ax630c", "--prompt", "what?", "--set", "request.new_tokens=6"]
EXACT = ["--set", "build.weight_dtype=bf16", "--set", "build.post_weight_dtype=bf16"]


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Workload file, checkpoint folder and picture."""
    folder = tmp_path_factory.mktemp("answer")
    model = write_model(folder / "model")
    workload = folder / "w.yaml"
    axsim("import", model, "-o", workload)
    picture = folder / "p.png"
    rng = np.random.default_rng(3)
    Image.fromarray(rng.integers(0, 256, (112, 112, 3), np.uint8)).save(picture)
    return workload, model, picture


def test_the_answer_is_that_of_the_model(world, tmp_path):
    """Against a plain float32 loop over the prompt: the picture reaches the logits."""
    workload, model, picture = world
    report = tmp_path / "r.json"
    options = ["--checkpoint", model, "--image", picture, "--variant", "112-u16", "--json", report]
    out = axsim("run", workload, *ASK, *EXACT, *options).stdout
    variant = json.loads(report.read_text())["variants"][0]
    answer = variant["answer"]
    assert variant["images"] == 1
    assert [each["id"] for each in answer["tokens"]] == variant["numerics"]["tokens"]
    assert [each["arrival_ms"] for each in answer["tokens"]] == variant["arrivals_ms"]
    assert answer["text"] == "".join(each["text"] for each in answer["tokens"])
    for each in answer["tokens"]:
        assert f"{each['arrival_ms']:.1f}  {each['text']!r}" in out

    from axsim.inputs.chat import Chat
    from axsim.spec.workload import load_workload

    asked = load_workload(workload, variant="112-u16")
    chat = Chat(model, "what?", picture)
    question = chat._question(chat.adapt(asked))
    weights = Checkpoint(model)
    rows = weights.rows("language_model.model.embed_tokens.weight", question.tokens)
    rows[question.image_rows] = run_vision(weights, MODEL, np.asarray(Image.open(picture))[None])[0]
    loop = Loop(weights, MODEL.decoder, 400)
    logits = loop.logits(loop.prefill(rows)[-1:])[0]
    assert variant["numerics"]["reference_token"] == int(logits.argmax())
    assert variant["numerics"]["logits_cosine"] > 0.999


def test_a_report_asks_too(world, tmp_path, monkeypatch):
    """The page has the question, the same answer, and the same first token's time."""
    monkeypatch.setattr(content, "draw", lambda *_: {})  # for the sake of speed
    workload, model, picture = world
    document, page = tmp_path / "r.json", tmp_path / "r.html"
    options = ["--checkpoint", model, "--image", picture]
    axsim("run", workload, *ASK, *options, "--json", document)
    axsim("report", workload, *ASK, *options, "-o", page)
    (variant,) = json.loads(document.read_text())["variants"]
    text = Page(page.read_text(encoding="utf-8")).text
    assert "Asked" in text
    assert "what?" in text
    assert variant["answer"]["text"].strip() in text
    assert f"{number(variant['predictions']['image_to_first_token_ms']['value'])}" in text
    assert "--prompt 'what?' --image" in text


def test_only_the_first_variant_answers_unless_told(world, tmp_path):
    workload, model, _ = world
    report = tmp_path / "r.json"
    axsim("run", workload, *ASK, "--checkpoint", model, "--json", report)
    document = json.loads(report.read_text())
    assert [each["name"] for each in document["variants"]] == ["112-u8"]
    assert document["variants"][0]["images"] == 0


def test_realtime_takes_as_long_as_the_chip_would(world, tmp_path):
    workload, model, picture = world
    report = tmp_path / "r.json"
    slow = ["--set", "chip.dram.data_rate_mtps=20", "--json", report]
    options = ["--checkpoint", model, "--image", picture, *slow]
    start = time.perf_counter()
    axsim("run", workload, *ASK, *options)
    between = time.perf_counter()
    out = axsim("run", workload, *ASK, *options, "--realtime").stdout
    end = time.perf_counter()
    answer = json.loads(report.read_text())["variants"][0]["answer"]
    arrival = answer["tokens"][-1]["arrival_ms"] / 1e3
    assert end - between > arrival
    assert "token by token" not in out
    assert answer["text"].strip() in out or not answer["text"].isprintable()
    assert between > start


def test_tiles(world, tmp_path):
    workload, model, _ = world
    wide = tmp_path / "wide.png"
    Image.new("RGB", (400, 100), (9, 200, 30)).save(wide)
    report = tmp_path / "r.json"
    options = ["--checkpoint", model, "--image", wide, "--dynamic-tiling", "--json", report]
    axsim("run", workload, *ASK, *options)
    assert json.loads(report.read_text())["variants"][0]["images"] == 5


def test_what_the_ranges_are_calibrated_on_is_told(world, tmp_path):
    workload, model, picture = world
    report = tmp_path / "r.json"
    options = [*ASK, "--checkpoint", model, "--json", report]

    def calibrated(*more):
        out = axsim("run", workload, *options, *more).stdout
        numerics = json.loads(report.read_text())["variants"][0]["numerics"]
        told = numerics["calibrated_on"]
        assert told is None or f"activations calibrated on {told}" in " ".join(out.split())
        return told, numerics["vision_cosine"]

    photos = tmp_path / "photos"
    photos.mkdir()
    for index, grey in enumerate((0, 90)):
        Image.new("RGB", (60, 40), (grey, grey, grey)).save(photos / f"{index}.png")
    asked, best = calibrated("--image", picture)
    assert asked == "the picture of the question"
    others, worse = calibrated("--image", picture, "--images", photos)
    assert others == "2 pictures of photos"
    assert worse < best
    assert calibrated() == (None, None)  # no picture, no vision
    insisted, _ = calibrated("--image", picture, "--calibrate-on", "seeded")
    assert insisted == "a seeded picture"


def test_quiet_shows_nothing(world):
    workload, model, _ = world
    assert axsim("run", workload, *ASK, "--checkpoint", model, "--quiet").stdout == ""


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--prompt", "x"], "--checkpoint DIR"),
        (["--image", "p.png", "--checkpoint", "."], "--prompt TEXT"),
        (["--realtime"], "--prompt TEXT"),
        (["--prompt", "x", "--checkpoint", ".", "--timing-only"], "--timing-only leaves out"),
        (["--prompt", "x", "--checkpoint", ".", "--dynamic-tiling"], "--image FILE"),
        (["--images", ".", "--timing-only"], "--timing-only leaves out"),
        (["--images", "nowhere"], "nowhere is no folder of pictures"),
        (["--prompt", "x", "--checkpoint", "nowhere"], "nowhere has neither tokenizer.json"),
    ],
)
def test_wrong_input(world, options, message):
    workload, _, _ = world
    found = axsim("run", workload, "--chip", "ax630c", *options, code=2)
    assert message in found.stderr


def test_a_picture_that_is_none(world, tmp_path):
    workload, model, _ = world
    (tmp_path / "x.jpg").write_text("no picture")
    found = axsim(
        "run", workload, *ASK, "--checkpoint", model, "--image", tmp_path / "x.jpg", code=2
    )
    assert "x.jpg is no readable picture" in found.stderr
    assert Tokens(model).id("<img>") == 264
