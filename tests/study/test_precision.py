"""Precision of a deployment: agreement with the run, observers, SmoothQuant, and what to lift."""

from __future__ import annotations

import numpy as np
import pytest

import axsim
from axsim.compiler.partition import Deployment
from axsim.errors import InputError
from axsim.models.config import ModelConfig
from axsim.models.synthetic import SyntheticWeights
from axsim.numerics.observers import OBSERVERS
from axsim.runs.run_pictures import Pixels, split
from axsim.spec.chip import load_chip
from axsim.spec.descriptor import override
from axsim.study.precision import Analysis
from tests.runs.tiny import DECODER, workload

CHIP = load_chip("ax630c")


def analysis(source, **options):
    deployment = Deployment(source, CHIP)
    return Analysis(deployment, SyntheticWeights(deployment.model, 0), **options)


@pytest.fixture(scope="module")
def plain():
    """The ends of a workload without options: vision output, first logits."""
    return analysis(workload()).ends()


def test_the_ends_are_those_of_the_run(plain):
    vision, logits = plain
    numerics = axsim.run(workload(), CHIP)[0].numerics
    assert vision.cosine == pytest.approx(numerics.vision_cosine, abs=1e-9)
    assert logits.cosine == numerics.logits_cosine


def test_every_part_has_rows_and_decoder_errors_build_up():
    rows = {row.node: row for row in analysis(workload()).operators()}
    wanted = {"layers.0.attn.softmax", "mlp1.3", "decoder.1.mlp.down_proj", "post.lm_head"}
    assert wanted <= rows.keys()
    alone = ModelConfig(DECODER)
    text = analysis(workload(alone, prompt_tokens=20))
    assert not any(row.node.startswith("layers") for row in text.operators())
    assert len(text.ends()) == 1
    assert rows["decoder.0.attn.residual"].sqnr_db < 60


@pytest.mark.parametrize("observer", OBSERVERS)
def test_observers_lead_to_different_ranges(plain, observer):
    cosine = analysis(workload(), observer=observer).ends()[0].cosine
    assert 0.9 < cosine < 1
    if observer != "MinMax":
        assert cosine != plain[0].cosine


def test_smooth_quant_is_compared_with_the_same_function(plain):
    smooth = analysis(workload(), smooth_quant=True).ends()[0]
    assert smooth.sqnr_db > plain[0].sqnr_db


def test_given_pictures_are_compared_and_calibrate(plain):
    rng = np.random.default_rng(0)
    pictures = [rng.integers(0, 256, (1, 56, 56, 3)).astype(np.uint8) for _ in range(3)]
    found = analysis(workload(), pixels=Pixels(*split(pictures, 1))).ends()[0].cosine
    assert found != plain[0].cosine


def test_operators_alone():
    end, own = (analysis(workload(), per_layer=each) for each in (False, True))
    last = {row.node: row for row in end.operators()}
    alone = {row.node: row for row in own.operators()}
    assert alone.keys() == last.keys()
    for node in ("mlp1.3", "decoder.1.mlp.down_proj", "post.lm_head"):
        assert alone[node].sqnr_db > last[node].sqnr_db + 3
    assert own.ends() == []


def test_overrides_are_checked():
    wrong = override(workload(), {"build.precision_overrides": {"layer.*": "u16"}})
    with pytest.raises(
        InputError, match=r"build\.precision_overrides: no activation .*'layer\.\*'"
    ):
        axsim.run(wrong, CHIP, timing_only=True)
    with pytest.raises(InputError, match="has no effect"):
        override(wrong, {"build.vision_dtype": "bf16"})
    with pytest.raises(InputError, match="allowed: u8, u16"):
        override(workload(), {"build.precision_overrides": {"*": "u32"}})
