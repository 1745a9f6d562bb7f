"""Accuracy on every surface: what a checkpoint is judged on, and what it is refused without."""

from __future__ import annotations

import csv
import io
import json

import numpy as np
import pytest

pytest.importorskip("tokenizers")
pytest.importorskip("PIL")

from PIL import Image

from tests.cli.command import axsim
from tests.runs.talking import write_model

WANTS_PICTURES = "need pictures: --images DIR; --calibrate-on seeded insists on a seeded one"


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Workload file, and the options of a run with a checkpoint, pictures and a text."""
    folder = tmp_path_factory.mktemp("accuracy")
    model = write_model(folder / "model")
    axsim("import", model, "-o", folder / "w.yaml")
    rng = np.random.default_rng(3)
    (folder / "photos").mkdir()
    for index in range(2):
        pixels = rng.integers(0, 256, (112, 112, 3), np.uint8)
        Image.fromarray(pixels).save(folder / "photos" / f"{index}.png")
    (folder / "words.txt").write_text("The bell says seven, the ferry nine.", encoding="utf-8")
    return folder / "w.yaml", model, folder / "photos", folder / "words.txt"


def options(world):
    workload, model, photos, words = world
    return [workload, "--checkpoint", model, "--images", photos, "--text", words]


ONE = ["--variant", "112-u8", "--set", "request.new_tokens=1"]


def test_run_shows_the_figures_in_table_json_and_csv(world, tmp_path) -> None:
    files = ["--json", tmp_path / "r.json", "--csv", tmp_path / "r.csv"]
    out = axsim("run", *options(world), *ONE, "--chip", "ax630c", *files).stdout
    numerics = json.loads((tmp_path / "r.json").read_text())["variants"][0]["numerics"]
    text = numerics["text"]
    assert text["name"] == "words.txt"
    assert f"Trained weights judged on {text['tokens']} tokens of words.txt" in out
    for shown in (f"{text['perplexity']:.5g}", f"{text['kl_divergence']:.3g}"):
        assert shown in out
    section = out[out.index("Trained weights") : out.index("tokens generated")]
    assert max(map(len, section.splitlines())) <= 80
    assert "vision output compared on 1 held-out picture of photos" in out
    with (tmp_path / "r.csv").open() as file:
        row = next(csv.DictReader(file))
    assert float(row["perplexity"]) == text["perplexity"]
    assert int(row["judged_tokens"]) == text["tokens"]


def test_precision_says_what_the_run_says(world, tmp_path) -> None:
    files = "-o", tmp_path / "p.json"
    out = axsim("precision", *options(world), *ONE, "--rows", 3, *files).stdout
    found = json.loads((tmp_path / "p.json").read_text())
    axsim("run", *options(world), *ONE, "--chip", "ax630c", "--json", tmp_path / "r.json")
    numerics = json.loads((tmp_path / "r.json").read_text())["variants"][0]["numerics"]
    assert found["text"] == {k: v for k, v in numerics["text"].items() if k != "name"}
    vision, logits = found["ends"]
    assert logits["cosine"] == numerics["logits_cosine"]
    assert vision["cosine"] == pytest.approx(numerics["vision_cosine"], abs=1e-9)
    assert f"{found['text']['perplexity']:.5g}" in out
    assert "vision output: 1 held-out picture of photos" in out


def test_a_sweep_has_the_columns_and_searches_them(world, tmp_path) -> None:
    vary = ["--vary", "build.weight_dtype=s8,s4", "--chip", "ax630c", "--jobs", 1]
    goal = ["--objective", "perplexity", "--objective", "min:weights_bytes"]
    table, plot = tmp_path / "t.csv", tmp_path / "t.svg"
    files = ["-o", table, "--plot", plot]
    out = axsim("sweep", *options(world), *ONE, *vary, *goal, *files).stdout
    rows = list(csv.DictReader(io.StringIO(table.read_text())))
    assert {row["build.weight_dtype"] for row in rows} == {"s8", "s4"}
    assert len({row["perplexity"] for row in rows}) == 2
    assert all(0 <= float(row["top1_agreement"]) <= 1 for row in rows)
    assert f"judged on {rows[0]['judged_tokens']} tokens of text" in out
    assert f"--images {world[2]} --text {world[3]}" in out
    assert "perplexity as deployed" in plot.read_text()


@pytest.mark.parametrize("column", ["perplexity", "top1_agreement"])
def test_what_only_trained_weights_have_is_refused_at_once(world, column) -> None:
    asked = ["sweep", world[0], "--chip", "ax630c", "--objective", column]
    assert "needs a model that was trained: --checkpoint DIR" in axsim(*asked, code=2).stderr
    timing = axsim(*asked, "--timing-only", code=2).stderr
    assert "needs the kernels, which --timing-only leaves out" in timing


@pytest.mark.slow
def test_the_report_has_them(world, tmp_path) -> None:
    page = tmp_path / "r.html"
    two = ["--set", "request.new_tokens=1", "--variant", "112-u8", "--variant", "112-u16"]
    axsim("report", *options(world), *two, "--chip", "ax630c", "-o", page, "--quiet")
    html = page.read_text(encoding="utf-8")
    assert "tokens of words.txt</h3>" in html
    assert "Accuracy against time, variant by variant" in html
    assert "--text" in html  # of the command that makes the page again


SURFACES = {
    "run": ["--chip", "ax630c"],
    "report": ["--chip", "ax630c"],
    "precision": [],
    "sweep": ["--chip", "ax630c", "--vary", "request.new_tokens=1,2"],
    "export": ["--quantized"],
    "build": ["--chip", "ax630c"],
    "serve": ["--chip", "ax630c", "--port", 0],
}


@pytest.mark.parametrize("command", SURFACES)
def test_no_surface_calibrates_a_checkpoint_on_a_seeded_picture(world, command, tmp_path) -> None:
    workload, model, *_ = world
    output = [] if command in ("run", "serve") else ["-o", tmp_path / "out.html"]
    output = ["-o", tmp_path / "out.csv"] if command in ("precision", "sweep") else output
    asked = [command, workload, "--checkpoint", model, *SURFACES[command], *output]
    found = axsim(*asked, code=2)
    assert WANTS_PICTURES in found.stderr
    assert not list(tmp_path.iterdir())
    if command == "serve":
        return
    both = axsim(*asked, "--images", ".", "--calibrate-on", "seeded", code=2).stderr
    assert "contradict each other" in both


def test_seeded_when_one_insists(world, tmp_path) -> None:
    workload, model, *_ = world
    asked = ["precision", workload, "--checkpoint", model, *ONE, "--text", world[3]]
    out = axsim(*asked, "--calibrate-on", "seeded").stdout
    assert "vision output: a seeded picture" in out
    axsim("export", workload, "--checkpoint", model, "--quantized", "--subgraph", "vision",
          "--calibrate-on", "seeded", "-o", tmp_path)  # fmt: skip
    idle = axsim("export", workload, "--images", ".", "-o", tmp_path, code=2).stderr
    assert "for a vision part that is --quantized" in idle


@pytest.mark.parametrize("observer", ["percentile", "kl"])
def test_every_observer_of_a_run_is_that_of_precision(world, observer, tmp_path) -> None:
    asked = [*options(world)[:1], *ONE, "--observer", observer]
    axsim("run", *asked, "--chip", "ax630c", "--json", tmp_path / "r.json")
    numerics = json.loads((tmp_path / "r.json").read_text())["variants"][0]["numerics"]
    axsim("precision", *asked, "-o", tmp_path / "p.json")
    vision, _ = json.loads((tmp_path / "p.json").read_text())["ends"]
    assert vision["cosine"] == pytest.approx(numerics["vision_cosine"], abs=1e-9)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--text", "nowhere.txt"], "the text nowhere.txt cannot be read"),
        (["--timing-only", "--text", "t"], "--text is for the kernels"),
        (["--timing-only", "--observer", "kl"], "--observer is for the kernels"),
        (["--timing-only", "--calibrate-on", "seeded"], "--calibrate-on is for the kernels"),
        (["--calibrate-on", "photos"], "'photos'"),
    ],
)
def test_wrong_input(world, more, message) -> None:
    workload, model, photos, _ = world
    asked = ["run", workload, "--chip", "ax630c", "--checkpoint", model]
    pictures = [] if "--timing-only" in more or "photos" in more else ["--images", photos]
    found = axsim(*asked, *pictures, *more, code=2)
    assert message in " ".join(found.stderr.split())
    assert "Where the time" not in found.stdout
