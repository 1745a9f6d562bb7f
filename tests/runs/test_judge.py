"""Builds judged on a text: which are, on what, and that the way through the prefill path is exact.

That the figures are right is for test_judge_oracle.py, which has torch.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("tokenizers")

import axsim
from axsim.compiler.partition import Deployment
from axsim.errors import InputError
from axsim.inputs import passage
from axsim.inputs.passage import Passage
from axsim.inputs.tokenizer import Tokens
from axsim.models.checkpoint import Checkpoint
from axsim.models.config import ModelConfig
from axsim.numerics.weight_only import WeightOnly
from axsim.runs.devices import Device
from axsim.runs.judge import Judge, _Head, capacity
from axsim.runs.stock import decoder_weights
from axsim.spec.chip import load_chip
from axsim.spec.workload import Workload
from tests.models import layouts
from tests.models.seeded import SeededWeights
from tests.models.writing import decoder_json, stored, write
from tests.runs.talking import DECODER, write_model, write_tokenizer

MODEL = ModelConfig(replace(DECODER, tie_word_embeddings=True))
CHIP = load_chip("ax650n")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A decoder with a tokenizer, and a text."""
    folder = tmp_path_factory.mktemp("decoder")
    write(folder, decoder_json(MODEL.decoder), stored(SeededWeights(MODEL), MODEL, layouts.PLAIN))
    write_tokenizer(folder, whole=True)
    (folder / "text.txt").write_text("The bell of the school says seven. " * 5, encoding="utf-8")
    return folder


def small(model=MODEL, request=None, **build):
    settings = {"prefill_chunk": 16, "kv_cache_len": 60, **build}
    asked = {"prompt_tokens": 12, "new_tokens": 2, **(request or {})}
    return Workload.of("small", model, build=settings, request=asked)


def run(folder, **options):
    build = options.pop("build", {})
    return axsim.run(small(**build), CHIP, checkpoint=folder, **options)[0]


def test_a_checkpoint_is_judged_on_a_page_and_synthetic_weights_never(folder, monkeypatch) -> None:
    monkeypatch.setattr(passage, "shipped_page", lambda: folder / "text.txt")
    found = run(folder)
    numerics, row = found.numerics, found.to_row()
    assert numerics.judged_on == "the shipped page"
    assert numerics.text.tokens == row["judged_tokens"] > 100
    assert row["perplexity"] == numerics.text.perplexity > 1
    assert numerics.to_dict()["text"]["name"] == "the shipped page"
    synthetic = axsim.run(small(), CHIP)[0]
    assert synthetic.numerics.text is None
    assert synthetic.numerics.to_dict()["text"] is None
    assert all(synthetic.to_row()[name] is None for name in ("perplexity", "judged_tokens"))


def test_a_text_of_the_readers(folder) -> None:
    numerics = run(folder, text=folder / "text.txt").numerics
    assert numerics.judged_on == "text.txt"
    count = len(Tokens(folder).encode((folder / "text.txt").read_text()))
    assert numerics.text.tokens == count - -(-count // 60)  # nothing is before a piece's first


def test_chunks_and_pieces_change_nothing_but_what_stands_before(folder) -> None:
    text = folder / "text.txt"
    scores = [
        run(folder, text=text, build={"prefill_chunk": chunk}).numerics.text for chunk in (7, 60)
    ]
    assert scores[0].float32_perplexity == pytest.approx(scores[1].float32_perplexity, rel=1e-6)
    assert scores[0].perplexity == pytest.approx(scores[1].perplexity, rel=1e-3)
    short = run(folder, text=text, build={"kv_cache_len": 20}).numerics.text
    assert short.tokens < scores[0].tokens
    assert short.float32_perplexity != pytest.approx(scores[0].float32_perplexity, rel=1e-4)


def test_compiled_chunks_bound_a_piece() -> None:
    assert capacity(Deployment(small(), CHIP)) == 60
    assert capacity(Deployment(small(prefill_max_chunks=2), CHIP)) == 32


def test_fewer_bits_lose_more(folder) -> None:
    text = folder / "text.txt"
    losses = [
        run(folder, text=text, build={"weight_dtype": d}).numerics.text.kl_divergence
        for d in ("bf16", "s8", "s4")
    ]
    assert losses == sorted(losses)
    assert losses[2] > 10 * losses[0] > 0


@pytest.mark.parametrize("dtype", ["s8", "bf16"])
def test_many_rows_of_the_head_are_those_of_one(folder, dtype) -> None:
    deployment, checkpoint = Deployment(small(post_weight_dtype=dtype), CHIP), Checkpoint(folder)
    weights = decoder_weights(deployment, checkpoint)
    hidden = np.random.default_rng(0).normal(size=(40, 64)).astype(np.float32)
    head = _Head(deployment, weights, WeightOnly(), lambda macs, kind: None)
    many = np.concatenate(list(head(hidden)))[:40]
    device = Device(deployment, checkpoint, weights, None, WeightOnly())
    one = [device.post(deployment.post, row[None, None]) for row in hidden]
    np.testing.assert_array_equal(many, np.stack(one))


def test_progress_reaches_its_end_and_never_passes_it(folder) -> None:
    seen = []
    run(folder, text=folder / "text.txt", on_progress=seen.append)
    assert seen[-1].label == "p12: reading the text"
    assert 0.97 < seen[-1].done / seen[-1].total <= 1
    judge = Judge(Passage(Tokens(folder), folder / "text.txt"))
    done: list[int] = []
    judge._tick = lambda macs, kind: done.append(macs)
    deployment, checkpoint = Deployment(small(), CHIP), Checkpoint(folder)
    judge.score(deployment, checkpoint, decoder_weights(deployment, checkpoint))
    assert sum(done) == pytest.approx(2 * sum(judge.macs(deployment)), rel=0.02)


def test_without_a_tokenizer_it_says_why_and_a_text_is_refused(tmp_path) -> None:
    tensors = stored(SeededWeights(MODEL), MODEL, layouts.PLAIN)
    write(tmp_path, decoder_json(MODEL.decoder), tensors)
    numerics = run(tmp_path).numerics
    assert numerics.text is None
    assert "neither tokenizer.json nor vocab.json" in numerics.not_judged
    (tmp_path / "t.txt").write_text("some words", encoding="utf-8")
    with pytest.raises(InputError, match="neither tokenizer"):
        run(tmp_path, text=tmp_path / "t.txt")


def test_a_tokenizer_of_another_model_is_refused(folder, tmp_path) -> None:
    model = ModelConfig(replace(MODEL.decoder, vocab_size=90))
    tensors = stored(SeededWeights(model), model, layouts.PLAIN)
    write(tmp_path, decoder_json(model.decoder), tensors)
    write_tokenizer(tmp_path, whole=True)
    with pytest.raises(InputError, match="the model 90 rows for embeddings"):
        axsim.run(small(model), CHIP, checkpoint=tmp_path)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"text": "t.txt"}, "--text judges a model that was trained"),
        ({"observer": "Median"}, "observer: found 'Median'; .*allowed: MinMax, Percentile"),
        ({"calibrate_on": "photos"}, "calibrate_on: found 'photos'; allowed: seeded"),
        ({"calibrate_on": "seeded", "images": "."}, "contradict each other"),
    ],
)
def test_sources_that_do_not_go_together(options, message) -> None:
    with pytest.raises(InputError, match=message):
        axsim.run(small(), CHIP, **options)


def test_a_checkpoint_wants_pictures_for_its_ranges_or_is_told_to_do_without(tmp_path) -> None:
    from tests.runs.talking import MODEL as SEEING

    model = write_model(tmp_path)
    (tmp_path / "t.txt").write_text("The bell of the school", encoding="utf-8")
    given = {"checkpoint": model, "text": tmp_path / "t.txt"}
    asked = Workload.of("seeing", SEEING, build={"prefill_chunk": 32, "kv_cache_len": 127},
                        request={"new_tokens": 1})  # fmt: skip
    with pytest.raises(InputError, match="need pictures: --images DIR; --calibrate-on seeded"):
        axsim.run(asked, CHIP, **given)
    insisted = axsim.run(asked, CHIP, **given, calibrate_on="seeded")[0].numerics
    assert insisted.calibrated_on == "a seeded picture"
    assert insisted.text.tokens > 10
    for free in ({"build.vision_dtype": "bf16"}, {"request.images": 0}):
        assert axsim.run(asked, CHIP, **given, overrides=free)[0].numerics.text
