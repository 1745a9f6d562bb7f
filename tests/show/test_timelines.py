from __future__ import annotations

import pytest

import axsim
from axsim import InputError
from axsim.show.timelines import main_stages, stage, stage_timelines
from tests.runs.tiny import workload


@pytest.fixture(scope="module")
def variant():
    return axsim.run(workload(), "ax630c", timing_only=True)[0]


def test_stages_in_the_order_of_a_request(variant) -> None:
    found = stage_timelines(variant)
    assert list(found) == ["vision", "prefill 1", "prefill 2", "prefill 3", "decode", "post"]
    assert found["prefill 2"] is variant.stages.prefill[1]
    assert stage(variant, "decode") is variant.stages.decode


def test_the_last_chunk_stands_for_all(variant) -> None:
    assert main_stages(variant) == ["vision", "prefill 3", "decode", "post"]


def test_unknown_stage(variant) -> None:
    with pytest.raises(InputError, match=r"no stage 'pots'; did you mean 'post'\?"):
        stage(variant, "pots")
