from __future__ import annotations

import pytest

import axsim
from axsim import InputError
from axsim.show.timelines import main_stages, named_stages, stage_timelines
from axsim.system.request_timeline import Part
from tests.runs.tiny import workload


@pytest.fixture(scope="module")
def variant():
    return axsim.run(workload(), "ax630c", timing_only=True)[0]


def test_stages_in_the_order_of_a_request(variant) -> None:
    found = stage_timelines(variant)
    names = ["vision", "prefill 1", "prefill 2", "prefill 3", "decode", "post"]
    assert [part.name for part in found] == names
    second = [each.timeline for each in variant.timeline.of("prefill") if each.index == 1]
    assert found[Part("prefill", 1)] is second[0]
    (decode,) = named_stages(variant, ["decode"])
    assert found[decode] is variant.timeline.of("decode")[0].timeline


def test_the_last_chunk_stands_for_all(variant) -> None:
    names = ["vision", "prefill 3", "decode", "post"]
    assert [part.name for part in main_stages(variant)] == names
    assert named_stages(variant, None) == main_stages(variant)


def test_unknown_stage(variant) -> None:
    with pytest.raises(InputError, match=r"no stage 'pots'; did you mean 'post'\?"):
        named_stages(variant, ["pots"])
