"""Energy of a request: sums of what was done, with what the chip draws for it."""

from __future__ import annotations

from dataclasses import replace

import pytest
import simpy

import axsim
from axsim.compiler.partition import Deployment
from axsim.spec.chip import load_chip
from axsim.spec.power import MAC_TYPES
from axsim.system.alone import alone
from axsim.system.breakdown import breakdown
from axsim.system.energy import ChipWork, energy_mj, image_mj, token_mj, work_of, work_of_stages
from axsim.system.request_timeline import RequestTimeline
from axsim.system.serve import serve
from axsim.system.soc import Soc
from tests.runs.tiny import variants, workload

POWER = {
    "power.idle_w": 2.0,
    "power.conv_w": 0.5,
    "power.teng_w": 0.25,
    "power.sdma_w": 0.125,
    "power.cpu_w": 0.75,
    "power.dram_pj_per_byte": 50.0,
    "power.mac_pj": {"int8": 0.4, "int16": 1.5, "int16x8": 0.8, "bf16": 2.0},
}
CHIP = load_chip("ax650n", POWER)


def request(tokens: int = 3, chip: axsim.Chip = CHIP, **keys: object) -> RequestTimeline:
    return alone(Deployment(workload(**keys), chip), tokens=tokens)


def test_work_is_that_of_the_breakdown() -> None:
    timeline = request(tokens=2)
    stages = breakdown(timeline, CHIP)
    done = work_of(timeline)
    assert done.dram_bytes == pytest.approx(
        sum(s.total_dram_bytes * _times(s.name) for s in stages)
    )
    assert sum(done.macs.values()) == sum(s.macs * _times(s.name) for s in stages)
    units = {"conv": 6, "teng": 3, "cpu": 1}
    for name, count in units.items():
        busy = sum(
            s.busy["host" if name == "cpu" else name] * s.ms * count * _times(s.name)
            for s in stages
            if s.name != "preprocess"
        )
        if name == "cpu":
            busy += timeline.preprocess_ms * CHIP.cpu.cores
        assert done.busy_ms[name] == pytest.approx(busy)


def _times(stage: str) -> int:
    return 2 if stage == "post" else 1  # of the first token, and of the second


def test_macs_are_told_apart_by_their_operands() -> None:
    for dtype, kind in (("u8", "int8"), ("u16", "int16x8"), ("bf16", "bf16")):
        build = {"vision_dtype": dtype}
        work, _ = work_of_stages(request(build=build), ("vision",))
        assert work.macs[kind] == max(work.macs.values())
        assert set(work.macs) <= {kind, "int16"} <= set(MAC_TYPES)
    work, _ = work_of_stages(request(), ("prefill", "decode", "post"))
    assert set(work.macs) == {"bf16"}


def test_every_part_of_the_block_counts_by_itself() -> None:
    timeline = request()
    assert timeline.power is not None
    done, power = work_of(timeline), timeline.power
    none = dict.fromkeys(("idle_w", "conv_w", "teng_w", "sdma_w", "cpu_w"), 0.0)
    nothing = power.model_copy(update={**none, "dram_pj_per_byte": 0.0, "mac_pj": {}})
    assert energy_mj(done, timeline.ms, nothing) == 0
    alone_mj = []
    for name in (*none, "dram_pj_per_byte", "mac_pj"):
        only = nothing.model_copy(update={name: getattr(power, name)})
        alone_mj.append(energy_mj(done, timeline.ms, only))
    assert all(each > 0 for each in alone_mj)
    assert sum(alone_mj) == pytest.approx(energy_mj(done, timeline.ms, power))
    assert alone_mj[0] == pytest.approx(2.0 * timeline.ms)  # watts are mJ per ms
    assert alone_mj[5] == pytest.approx(done.dram_bytes * 50e-9)


def test_images_and_tokens_add_up_to_the_request() -> None:
    """Beside prefill and the first post, which belong to neither."""
    timeline = request(tokens=4, images=2, prompt_tokens=30)
    assert timeline.power is not None
    prefill = energy_mj(*work_of_stages(timeline, ("prefill",)), timeline.power)
    post, ms = work_of_stages(timeline.first(1), ("post",))
    rest = prefill + energy_mj(post, ms, timeline.power)
    image, token = image_mj(timeline), token_mj(timeline)
    assert image is not None
    assert token is not None
    whole = energy_mj(work_of(timeline), timeline.ms, timeline.power)
    assert 2 * image + 3 * token + rest == pytest.approx(whole)
    assert token_mj(request(tokens=2)) == pytest.approx(token)


def test_requests_in_company_add_up() -> None:
    """Tenants of one chip: the work of each, and the idle watts once."""
    env = simpy.Environment()
    soc = Soc(env, CHIP)
    deployment = Deployment(workload(), CHIP)
    both = [env.process(serve(soc, deployment, tokens=3)) for _ in range(2)]
    env.run()
    one, two = (work_of(each.value) for each in both)
    own = work_of(request())
    together = one + two
    assert together.macs == {kind: 2 * count for kind, count in own.macs.items()}
    assert together.dram_bytes == pytest.approx(2 * own.dram_bytes)
    for unit in ("conv", "teng", "cpu"):  # transfers of two take longer
        assert together.busy_ms[unit] == pytest.approx(2 * own.busy_ms[unit])
    assert CHIP.power is not None
    assert together.mj(CHIP.power) == pytest.approx(one.mj(CHIP.power) + two.mj(CHIP.power))
    assert (one + ChipWork()) == one


def test_without_the_block_nobody_hears_of_energy() -> None:
    plain = axsim.run(variants(), "ax650n", timing_only=True)
    filled = axsim.run(variants(), CHIP, timing_only=True)
    assert not [name for name in plain[0].to_row() if "energy" in name]
    assert not [name for name in plain[0].predictions if "energy" in name]
    assert plain[0].energy_per_token_mj is None
    for each, other in zip(filled, plain, strict=True):
        row, document = each.to_row(), each.to_dict()["predictions"]
        for name in ("energy_per_image_mj", "energy_per_token_mj"):
            found = each.predictions[name]
            assert (found.unit, found.interval, found.extrapolated) == ("mJ", None, "")
            assert row[name] == document[name]["value"] == found.value > 0
        for name, prediction in other.predictions.items():
            assert each.predictions[name] == prediction  # a meter does not make a chip another


def test_a_network_has_energy_per_image() -> None:
    from axsim.fidelity.ledger import shipped_graphs

    file = shipped_graphs() / "squeezenet1_1.onnx"
    (found,) = axsim.run(file, CHIP, timing_only=True)
    assert found.energy_per_token_mj is None
    assert found.energy_per_image_mj.value > 2.0 * found.graph_ms.value
    assert image_mj(replace(found.planned, power=None)) is None
