"""Stages of a request: what adds up to what, and which knob moves which."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from axsim.analysis.critical_path import first_token_path, token_path
from axsim.chip import load_chip
from axsim.compiler.partition import Deployment
from axsim.models.config import ModelConfig
from axsim.runtime.stages import Host, Stages, time_stages
from axsim.workload import (
    ALLOWED_TOOLCHAINS,
    NEWEST_TOOLCHAIN,
    BuildSection,
    Toolchain,
    load_workload,
)
from tests.runtime.tiny import DECODER, VISION, VLM, workload

CHIPS = ("ax630c", "ax650n")


def timed(chip: str, variant: str = "448-u8", **knobs: Any) -> Stages:
    """InternVL2-1B on a chip with dotted keys (``npu__int8_tops``) set."""
    overrides = {key.replace("__", "."): value for key, value in knobs.items()}
    deployment = Deployment(
        load_workload("internvl2_1b", variant=variant), load_chip(chip, overrides)
    )
    return time_stages(deployment)


@pytest.fixture(scope="module")
def base() -> dict[str, Stages]:
    return {chip: timed(chip) for chip in CHIPS}


def test_host_times_follow_from_the_cpu() -> None:
    chip = load_chip(
        "ax650n",
        {
            "cpu.clock_mhz": 1000,
            "cpu.cores": 4,
            "host.preprocess_cycles_per_pixel": 80,
            "host.sample_cycles_per_logit": 3,
            "calibrated.host_decode_ms": 0.5,
            "calibrated.host_prefill_ms": 2,
            "host.decode_layer_ms": 0.1,
            "host.prefill_layer_ms": 0.04,
            "host.pcie_ms": 0.2,
        },
    )
    old, new, card = (
        Host.of(chip, 100_000, 50_000, BuildSection(toolchain=toolchain, link=link))
        for toolchain, link in (
            ("pulsar2-3.3", None),
            ("pulsar2-3.4", None),
            (NEWEST_TOOLCHAIN, "pcie"),
        )
    )
    assert old == Host(
        preprocess_ms=pytest.approx(2),  # 8 Mcycles on four cores
        prefill_layer_ms=2,
        decode_layer_ms=0.5,
        sample_ms=pytest.approx(0.15),
    )
    assert new == replace(old, prefill_layer_ms=0.04, decode_layer_ms=0.1)
    assert card == replace(new, link_ms=0.2)


@pytest.mark.parametrize("toolchain", ALLOWED_TOOLCHAINS)
def test_builds_up_to_3_3_spend_longer_around_every_layer(toolchain: Toolchain) -> None:
    chip = load_chip("ax650n")
    host = Host.of(chip, 0, 0, BuildSection(toolchain=toolchain))
    old = toolchain in ("pulsar2-2.5", "pulsar2-3.2", "pulsar2-3.3")
    assert (host.prefill_layer_ms > 0.5) is old
    assert (host.decode_layer_ms > 0.15) is old


def test_a_card_pays_a_round_trip_for_every_invocation() -> None:
    own, card = (
        time_stages(Deployment(workload(build={"link": link}), load_chip("ax650n")))
        for link in (None, "pcie")
    )
    trip = card.host.link_ms
    assert trip > 0
    assert card.vision_encode_ms - own.vision_encode_ms == pytest.approx(trip)
    assert card.post_ms - own.post_ms == pytest.approx(trip)
    assert card.token_ms - own.token_ms == pytest.approx((own.layers + 1) * trip)
    chunks = len(own.prefill)
    assert card.ttft_ms - own.ttft_ms == pytest.approx((chunks * own.layers + 1) * trip)
    assert sum(each.ms for each in token_path(card)) == pytest.approx(card.token_ms)
    path = first_token_path(card)
    assert sum(each.ms for each in path) == pytest.approx(card.image_to_first_token_ms)


def test_what_adds_up_to_what() -> None:
    # 20 prompt tokens in chunks of 8; two layers
    stages = time_stages(Deployment(workload(), load_chip("ax650n")))
    assert stages.vision
    assert stages.decode
    assert stages.post
    assert (stages.images, stages.layers, len(stages.prefill)) == (1, 2, 3)
    host = stages.host
    assert stages.vision_encode_ms == stages.vision.duration_ms
    assert stages.prefill_ms == tuple(
        2 * (chunk.duration_ms + host.prefill_layer_ms) for chunk in stages.prefill
    )
    assert stages.post_ms == stages.post.duration_ms + host.sample_ms
    assert stages.ttft_ms == pytest.approx(sum(stages.prefill_ms) + stages.post_ms)
    waits = stages.preprocess_ms + stages.vision_encode_ms + stages.ttft_ms
    assert stages.image_to_first_token_ms == pytest.approx(waits)
    layers = 2 * (stages.decode.duration_ms + host.decode_layer_ms)
    assert stages.token_ms == pytest.approx(layers + stages.post_ms)
    assert stages.decode_tokens_per_s == pytest.approx(1000 / stages.token_ms)


def test_every_image_is_prepared_and_encoded() -> None:
    one, three = (
        time_stages(Deployment(workload(images=n, text_tokens=4), load_chip("ax650n")))
        for n in (1, 3)
    )
    assert three.vision_encode_ms == one.vision_encode_ms
    assert three.preprocess_ms == pytest.approx(3 * one.preprocess_ms)
    apart = three.image_to_first_token_ms - three.ttft_ms
    assert apart == pytest.approx(3 * (one.image_to_first_token_ms - one.ttft_ms))


def test_parts_that_a_workload_lacks_take_no_time() -> None:
    chip = load_chip("ax630c")
    text = time_stages(Deployment(workload(ModelConfig(DECODER), prompt_tokens=8), chip))
    assert (text.vision, text.vision_encode_ms, text.preprocess_ms) == (None, 0, 0)
    assert text.image_to_first_token_ms == text.ttft_ms > 0
    tower = time_stages(Deployment(workload(ModelConfig(None, VISION, VLM.projector)), chip))
    assert (tower.prefill, tower.decode, tower.post) == ((), None, None)
    assert (tower.ttft_ms, tower.token_ms, tower.decode_tokens_per_s) == (0, 0, 0)
    assert tower.image_to_first_token_ms > tower.vision_encode_ms > 0


@pytest.mark.parametrize("chip", CHIPS)
def test_twice_the_tops_speed_up_products_and_leave_decode_to_the_memory(
    chip: str, base: dict[str, Stages]
) -> None:
    now, tops = timed(chip, "224-u8"), 2 * load_chip(chip).structural_int8_tops
    after = timed(chip, "224-u8", npu__int8_tops=tops)
    # AX630C's tower waits for its weights and for what it spills even at 224 pixels
    most = {"ax630c": 1.0, "ax650n": 0.9}[chip]
    assert 0.5 < after.vision_encode_ms / now.vision_encode_ms < most
    # weights come between the products of prefill, and attention runs on the vector unit: where
    # float products are fast (AX650N), the array is a small part of it
    assert 0.5 * now.ttft_ms < after.ttft_ms < now.ttft_ms
    shares = {"ax630c": 0.15, "ax650n": 0.05}
    assert now.ttft_ms - after.ttft_ms == pytest.approx(shares[chip] * now.ttft_ms, rel=0.6)
    assert 0.95 * now.token_ms < after.token_ms <= now.token_ms
    assert after.preprocess_ms == now.preprocess_ms
    assert timed(chip, npu__int8_tops=tops).vision_encode_ms < base[chip].vision_encode_ms


@pytest.mark.parametrize("chip", CHIPS)
def test_twice_the_data_rate_speeds_up_decode_most(chip: str, base: dict[str, Stages]) -> None:
    now = base[chip]
    after = timed(chip, dram__data_rate_mtps=2 * (load_chip(chip).dram.data_rate_mtps or 0))
    assert 0.5 * now.token_ms < after.token_ms < 0.75 * now.token_ms
    assert 0.5 * now.post_ms < after.post_ms < 0.6 * now.post_ms
    assert 0.5 * now.vision_encode_ms < after.vision_encode_ms < now.vision_encode_ms
    gain = now.vision_encode_ms / after.vision_encode_ms
    assert gain < now.token_ms / after.token_ms


@pytest.mark.parametrize("chip", CHIPS)
def test_twice_the_cpu_clock_halves_the_host_and_nothing_else(
    chip: str, base: dict[str, Stages]
) -> None:
    now = base[chip]
    after = timed(chip, cpu__clock_mhz=2 * load_chip(chip).cpu.clock_mhz)
    assert after.preprocess_ms == pytest.approx(now.preprocess_ms / 2)
    # what the runtime spends around a layer is no CPU work: AX630C's slower CPU spends no more
    assert after.token_ms == pytest.approx(now.token_ms - now.host.sample_ms / 2)
    assert after.ttft_ms < now.ttft_ms
    assert after.vision_encode_ms == now.vision_encode_ms
    cores = timed(chip, cpu__cores=2 * load_chip(chip).cpu.cores)
    assert cores.preprocess_ms == pytest.approx(now.preprocess_ms / 2)
    assert cores.token_ms == now.token_ms  # the rest is serial


def test_more_resource_groups_speed_up_what_is_computed(base: dict[str, Stages]) -> None:
    groups = {n: timed("ax650n", npu__resource_groups=n) for n in (1, 2, 4)}
    groups[3] = base["ax650n"]
    vision = [groups[n].vision_encode_ms for n in (1, 2, 3, 4)]
    assert vision == sorted(vision, reverse=True)
    assert 2 < vision[0] / vision[2] < 3.5
    ttft = [groups[n].ttft_ms for n in (1, 2, 3, 4)]
    assert ttft == sorted(ttft, reverse=True)
    # decode is a bandwidth line: three groups gain little on one
    assert groups[1].token_ms / groups[3].token_ms < 1.3


def test_modes_use_a_part_of_the_groups(base: dict[str, Stages]) -> None:
    modes = {}
    for mode in ("NPU1", "NPU2", "NPU3"):
        wanted = load_workload("internvl2_1b", {"build.npu_mode": mode}, "448-u8")
        modes[mode] = time_stages(Deployment(wanted, load_chip("ax650n"))).vision_encode_ms
    assert modes["NPU1"] > modes["NPU2"] > modes["NPU3"]
    assert modes["NPU3"] == base["ax650n"].vision_encode_ms


@pytest.mark.parametrize("chip", CHIPS)
def test_wider_vision_and_larger_images_take_longer(chip: str, base: dict[str, Stages]) -> None:
    """Published: from 224 to 448 pixels U8 takes 5.1 to 5.6 times as long for 4.5 x the MACs."""
    small, wide = timed(chip, "224-u8"), timed(chip, "448-u16")
    assert base[chip].vision_encode_ms > 4.5 * small.vision_encode_ms
    assert 1.7 < wide.vision_encode_ms / base[chip].vision_encode_ms < 3
    assert wide.ttft_ms == base[chip].ttft_ms  # the decoder does not know
    assert base[chip].ttft_ms > small.ttft_ms  # a chunk of 320 in place of 128
    assert base[chip].token_ms == small.token_ms
