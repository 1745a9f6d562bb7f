"""Perplexity, divergence and agreement against torch on a small trained checkpoint."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.oracle
pytest.importorskip("torch")
trained = pytest.importorskip("tests.runs.trained", exc_type=ImportError)

import torch  # noqa: E402

from axsim.compiler.partition import Deployment  # noqa: E402
from axsim.inputs.passage import Passage, shipped_page  # noqa: E402
from axsim.inputs.tokenizer import Tokens  # noqa: E402
from axsim.models.checkpoint import Checkpoint  # noqa: E402
from axsim.runs.judge import Judge, capacity  # noqa: E402
from axsim.runs.stock import decoder_weights  # noqa: E402
from axsim.spec.chip import load_chip  # noqa: E402
from axsim.spec.workload import Workload  # noqa: E402
from tests.models.hf_rounded import rounded  # noqa: E402

TEXT = shipped_page().read_text(encoding="utf-8")[:900]
KINDS = {"Qwen2": {}, "Gemma2": {"head_dim": 16, "sliding_window": 24}}


def build(checkpoint, weight_dtype="s8", **keys):
    settings = {"weight_dtype": weight_dtype, "post_weight_dtype": weight_dtype, **keys}
    settings = {"prefill_chunk": 24, "kv_cache_len": 100, **settings}
    made = Workload.of("small", checkpoint.config, build=settings, request={"prompt_tokens": 8})
    return Deployment(made, load_chip("ax650n"))


def judged(folder, deployment, checkpoint):
    (folder / "text.txt").write_text(TEXT, encoding="utf-8")
    passage = Passage(Tokens(folder), folder / "text.txt")
    score = Judge(passage).score(deployment, checkpoint, decoder_weights(deployment, checkpoint))
    return score, passage.windows(capacity(deployment))


def log_probabilities(model, windows):
    """Rows of every predicted token, and these."""
    rows, targets = [], []
    with torch.no_grad():
        for tokens in windows:
            ids = torch.tensor([tokens])
            rows.append(torch.log_softmax(model(input_ids=ids).logits[0, :-1].double(), -1))
            targets.append(ids[0, 1:])
    return torch.cat(rows), torch.cat(targets)


def perplexity(rows, targets):
    return float(torch.exp(torch.nn.functional.nll_loss(rows, targets)))


def fake_quantised(model, dtype):
    """The linear layers' weights rounded to codes and back, by torch alone."""
    most, group = {"s8": (127, None), "s4": (7, 128)}[dtype]
    for module in model.modules():
        if isinstance(module, torch.nn.Linear):
            weight = module.weight.data
            for start in range(0, weight.shape[1], group or weight.shape[1]):
                part = weight[:, start : start + (group or weight.shape[1])]
                scale = part.abs().amax(1, keepdim=True) / most
                part.copy_((part / scale).round().clamp(-most - 1, most) * scale)
    return model


@pytest.mark.parametrize("kind", KINDS)
def test_float32_is_transformers(kind, tmp_path):
    model = trained.trained(tmp_path, 12, kind, **KINDS[kind])
    checkpoint = Checkpoint(tmp_path)
    score, windows = judged(tmp_path, build(checkpoint), checkpoint)
    rows, targets = log_probabilities(model, windows)
    assert len(windows) > 3
    assert score.tokens == len(targets)
    assert score.float32_perplexity == pytest.approx(perplexity(rows, targets), rel=1e-5)
    assert score.float32_perplexity < 100  # of 267 tokens: it has learnt something


@pytest.mark.parametrize("dtype", ["s8", "s4"])
def test_quantised_weights_are_torchs(dtype, tmp_path):
    """Weights quantised and activations rounded to bf16 by torch, after each operator."""
    model = trained.trained(tmp_path, 60)
    checkpoint = Checkpoint(tmp_path)
    score, windows = judged(tmp_path, build(checkpoint, dtype), checkpoint)
    exact, targets = log_probabilities(model, windows)
    found, _ = log_probabilities(rounded(fake_quantised(model, dtype)), windows)
    agreed = (exact.argmax(1) == found.argmax(1)).double().mean()
    divergence = torch.nn.functional.kl_div(found, exact, log_target=True, reduction="batchmean")
    assert score.perplexity == pytest.approx(perplexity(found, targets), rel=1e-4)
    assert score.kl_divergence == pytest.approx(float(divergence), rel=0.01)
    assert score.top1_agreement == pytest.approx(float(agreed), abs=0.003)
