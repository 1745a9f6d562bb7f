"""What to lift to U16."""

from __future__ import annotations

import numpy as np
import pytest

import axsim
from axsim.compiler.partition import Deployment
from axsim.models.synthetic import SyntheticWeights
from axsim.numerics.mixed import lifted
from axsim.spec.chip import load_chip
from axsim.spec.descriptor import override
from axsim.study.lifting import lift, lift_groups, merged
from axsim.study.precision import Analysis
from tests.runs.tiny import workload

CHIP = load_chip("ax630c")


@pytest.fixture(scope="module")
def analysis():
    deployment = Deployment(workload(), CHIP)
    return Analysis(deployment, SyntheticWeights(deployment.model, 0))


def test_the_cheapest_lift_is_a_build_that_gives_what_it_promises(analysis):
    found = lift(analysis, 0.99609)
    assert found.proposal.met
    assert found.proposal.patterns
    assert found.before_ms <= found.after_ms <= found.u16_ms
    mixed = override(workload(), {"build.precision_overrides": found.proposal.overrides})
    result = axsim.run(mixed, CHIP)[0]
    assert result.numerics.vision_cosine == pytest.approx(found.proposal.similarity, abs=1e-7)
    assert result.vision_encode_ms.value == pytest.approx(found.after_ms)


def test_targets_that_need_nothing_or_are_out_of_reach(analysis):
    assert lift(analysis, 0.5).proposal.patterns == ()
    missed = lift(analysis, 1.0).proposal
    assert not missed.met
    assert missed.similarity == analysis.similarity(lifted(["*"]))


def test_a_higher_target_costs_more(analysis):
    base, most = analysis.similarity({}), analysis.similarity(lifted(["*"]))
    targets = base + (most - base) * np.array([0.3, 0.6, 0.9])
    lifts = [lift(analysis, target) for target in targets]
    assert all(found.proposal.similarity >= found.target for found in lifts)
    costs = [found.after_ms for found in lifts]
    assert costs == sorted(costs)


def test_few_runs_are_needed(analysis, monkeypatch):
    runs = []
    real = analysis.similarity
    monkeypatch.setattr(analysis, "similarity", lambda o: runs.append(o) or real(o))
    found = lift(analysis, 0.99609)
    assert len(runs) <= 8
    assert found.proposal.overrides in [dict(each) for each in runs]


def test_groups_share_nothing_and_each_can_be_lifted_alone(analysis):
    source = workload()
    base = axsim.run(source, CHIP, timing_only=True)[0].vision_encode_ms.value
    seen: set[str] = set()
    for group in lift_groups(analysis.graph()):
        mixed = override(source, {"build.precision_overrides": lifted(group)})
        tensors = Deployment(mixed, CHIP).vision.graph.tensors
        wide = {name for name, tensor in tensors.items() if tensor.dtype == "u16"}
        assert wide, group
        assert not wide & seen, group
        seen |= wide
        result = axsim.run(mixed, CHIP)[0]
        assert result.numerics.vision_cosine > 0.9, group
        assert result.vision_encode_ms.value >= base * 0.999, group
    assert seen == {
        name
        for name, tensor in analysis.graph().tensors.items()
        if tensor.dtype == "u8" and tensor.kind == "activation"
    }


def test_patterns_of_all_layers_are_told_as_one():
    groups = [("normalize.*",), ("layers.0.norm?",), ("layers.1.norm?",), ("layers.0.mlp.x",)]
    chosen = ["layers.1.norm?", "normalize.*", "layers.0.norm?"]
    assert merged(chosen, groups) == ("normalize.*", "layers.*.norm?")
    assert merged(["layers.1.norm?"], groups) == ("layers.1.norm?",)
    assert merged([], groups) == ()
