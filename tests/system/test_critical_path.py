"""The critical path: a chain without gaps from the start to the end."""

from __future__ import annotations

import pytest

import axsim
from axsim.compiler.program import Engine, Segment, Step, Task
from axsim.machine.simulate import simulate
from axsim.runs.results import VariantResult
from axsim.system.critical_path import (
    Cause,
    critical_us,
    first_token_path,
    token_path,
)

ENGINES = (Engine("conv0", "conv", 0), Engine("teng1", "teng", 0), Engine("sdma3.rd", "sdma", 0))
STEPS = (Step("a", "projection", 1, 0), Step("b", "softmax", 1, 0))


def path(*tasks: Task) -> dict[Cause, float]:
    segment = Segment.of("s", STEPS, tasks, (0.0, 0.0))
    timing = simulate(segment, len(ENGINES), dram_bytes_per_us=10.0)
    found = critical_us(segment, timing, ENGINES)
    assert sum(found.values()) == pytest.approx(timing.end_us)
    return found


def load(size: float, *deps: int) -> Task:
    return Task(2, "ld:param", 0, 0.0, size, size, deps)


def test_what_hides_behind_the_longer_chain_is_not_on_the_path() -> None:
    conv = Task(0, "compute", 0, 20.0, deps=(0,))
    found = path(load(50), conv, load(100), Task(1, "compute", 1, 3.0, deps=(1, 2)))
    assert found == {
        Cause("dram", "weights"): 5.0,
        Cause("conv", "projection"): 20.0,
        Cause("teng", "softmax"): 3.0,
    }


def test_a_queue_of_loads_is_on_the_path_when_it_is_longest() -> None:
    found = path(load(50), Task(0, "compute", 0, 2.0, deps=(0,)), load(300),
                 Task(1, "compute", 1, 3.0, deps=(1, 2)))  # fmt: skip
    assert found == {Cause("dram", "weights"): 35.0, Cause("teng", "softmax"): 3.0}


def test_set_up_without_bytes_is_the_channel() -> None:
    found = path(Task(2, "ld:ddr_swap", 0, 4.0))
    assert found == {Cause("sdma", "spilled activations"): 4.0}


def test_an_empty_segment() -> None:
    assert path() == {}


@pytest.fixture(scope="module", params=["ax650n", "ax630c"])
def variant(request) -> VariantResult:
    result = axsim.run("internvl2_1b", request.param, variants=["448-u16"], timing_only=True)
    return result[0]


def test_the_stages_sum_to_the_predictions(variant) -> None:
    stages = variant.stages
    first, token = first_token_path(stages), token_path(stages)
    assert sum(each.ms for each in first) == pytest.approx(stages.image_to_first_token_ms)
    assert sum(each.ms for each in token) == pytest.approx(stages.token_ms)
    for each in (*first, *token):
        assert sum(each.causes.values()) == pytest.approx(each.ms)
        assert sum(each.by_resource().values()) == pytest.approx(each.ms)
        assert list(each.causes.values()) == sorted(each.causes.values(), reverse=True)
        for resource, ms in each.by_resource().items():
            assert sum(each.by_work(resource).values()) == pytest.approx(ms)


def test_decode_waits_for_weights(variant) -> None:
    decode, post = token_path(variant.stages)
    for stage in (decode, post):
        assert next(iter(stage.causes)) == Cause("dram", "weights")


def test_removing_the_bound_resource_helps_no_more_than_its_share(variant) -> None:
    """Half the work of the path's largest resource saves at most that half."""
    stage = first_token_path(variant.stages)[1]
    assert stage.name == "vision"
    share = stage.by_resource()["conv"]
    keys = {"calibrated.clock_mhz": variant.chip.calibrated.clock_mhz}
    macs = round(2 * variant.chip.int8_macs_per_cycle)
    changed = axsim.run(
        "internvl2_1b",
        variant.chip.name,
        variants=["448-u16"],
        timing_only=True,
        overrides={f"chip.{key}": value for key, value in keys.items()}
        | {"chip.npu.conv.int8_macs_per_cycle": macs},
    )[0]
    saved = stage.ms - changed.stages.vision_encode_ms
    assert 0 < saved <= share / 2 * 1.01
