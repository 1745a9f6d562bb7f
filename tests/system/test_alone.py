"""A request alone on the chip: what adds up to what, and which knob moves which."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import simpy

from axsim.compiler.partition import Deployment
from axsim.models.config import ModelConfig
from axsim.spec.chip import load_chip
from axsim.spec.workload import (
    ALLOWED_TOOLCHAINS,
    NEWEST_TOOLCHAIN,
    Toolchain,
    load_workload,
)
from axsim.system.alone import alone, prolonged
from axsim.system.critical_path import first_token_path, token_path
from axsim.system.request import HostCosts
from axsim.system.request_timeline import Part, RequestTimeline
from axsim.system.serve import serve
from axsim.system.soc import Soc
from tests.runs.tiny import DECODER, VISION, VLM, workload

CHIPS = ("ax630c", "ax650n")


def timed(chip: str, variant: str = "448-u8", **knobs: Any) -> RequestTimeline:
    """InternVL2-1B on a chip with dotted keys (``npu__int8_tops``) set."""
    overrides = {key.replace("__", "."): value for key, value in knobs.items()}
    deployment = Deployment(
        load_workload("internvl2_1b", variant=variant), load_chip(chip, overrides)
    )
    return alone(deployment)


@pytest.fixture(scope="module")
def base() -> dict[str, RequestTimeline]:
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
            "host.pcie_gbps": 0.5,
        },
    )
    # 56 pixels, 101 words
    old, new, card = (
        HostCosts.of(Deployment(workload(build={"toolchain": toolchain, "link": link}), chip))
        for toolchain, link in (
            ("pulsar2-3.3", None),
            ("pulsar2-3.4", None),
            (NEWEST_TOOLCHAIN, "pcie"),
        )
    )
    assert old == HostCosts(
        preprocess_us=pytest.approx(62.72),
        prefill_layer_us=pytest.approx(2000),
        decode_layer_us=pytest.approx(500),
        sample_us=pytest.approx(0.303),
    )
    assert new == replace(
        old, prefill_layer_us=pytest.approx(40), decode_layer_us=pytest.approx(100)
    )
    assert card == replace(new, link_us=pytest.approx(200), link_us_per_byte=pytest.approx(0.002))


@pytest.mark.parametrize("toolchain", ALLOWED_TOOLCHAINS)
def test_builds_up_to_3_3_spend_longer_around_every_layer(toolchain: Toolchain) -> None:
    chip = load_chip("ax650n")
    host = HostCosts.of(Deployment(workload(build={"toolchain": toolchain}), chip))
    old = toolchain in ("pulsar2-2.5", "pulsar2-3.2", "pulsar2-3.3")
    assert (host.prefill_layer_us > 500) is old
    assert (host.decode_layer_us > 150) is old


@pytest.mark.parametrize("by", ["build", "chip"])
def test_a_card_pays_a_round_trip_for_every_invocation(by: str) -> None:
    build = {"link": "pcie"} if by == "build" else {}
    host = {"host.link": "pcie"} if by == "chip" else {}
    deployment = Deployment(workload(), load_chip("ax650n"))
    chip = load_chip("ax650n", {**host, "host.pcie_gbps": None})
    linked = Deployment(workload(build=build), chip)
    own, card = alone(deployment), alone(linked)
    trip = HostCosts.of(linked).link_us / 1e3
    layers, chunks = 2, len(deployment.prefill)
    assert trip > 0
    assert card.vision_encode_ms - own.vision_encode_ms == pytest.approx(trip)
    assert card.post_ms - own.post_ms == pytest.approx(trip)
    assert card.token_ms - own.token_ms == pytest.approx((layers + 1) * trip)
    assert card.ttft_ms - own.ttft_ms == pytest.approx((chunks * layers + 1) * trip)
    assert sum(each.ms for each in token_path(card)) == pytest.approx(card.token_ms)
    path = first_token_path(card)
    assert sum(each.ms for each in path) == pytest.approx(card.image_to_first_token_ms)


def test_what_crosses_the_link_of_a_card() -> None:
    """Pictures and their tokens, the prompt's embeddings, each token's, and the logits."""
    free, slow = (
        Deployment(workload(), load_chip("ax650n", {"host.link": "pcie", "host.pcie_gbps": rate}))
        for rate in (None, 0.001)
    )
    own, card = alone(free), alone(slow)
    decoder, vision = slow.model.decoder, slow.vision
    assert decoder is not None
    assert vision is not None
    row = decoder.hidden_size * 2 / 1e3  # bf16, ms at a megabyte per second
    logits = decoder.vocab_size * 2 / 1e3
    picture = (vision.input_bytes + vision.output_bytes) / 1e3
    assert picture > 56 * 56 * 3 / 1e3
    assert card.vision_encode_ms - own.vision_encode_ms == pytest.approx(picture)
    assert card.post_ms - own.post_ms == pytest.approx(logits)
    assert card.token_ms - own.token_ms == pytest.approx(row + logits)
    padded = slow.workload.prefill_chunks * slow.workload.build.prefill_chunk
    assert card.ttft_ms - own.ttft_ms == pytest.approx(padded * row + logits)


def test_what_adds_up_to_what() -> None:
    # 20 prompt tokens in chunks of 8; two layers
    deployment = Deployment(workload(), load_chip("ax650n"))
    request, host = alone(deployment, tokens=5), HostCosts.of(deployment)
    spans = request.spans
    chunks = [Part("prefill", chunk) for chunk in range(3)]
    parts = [Part("preprocess"), Part("vision"), *chunks, Part("post"), Part("decode")]
    assert list(spans) == parts
    assert [len(spans[part].invocations) for part in parts] == [0, 1, 2, 2, 2, 1, 2]
    (vision,) = spans[Part("vision")].invocations
    assert request.vision_encode_ms == vision.duration_ms
    for part in chunks:
        chunk = spans[part].invocations[0]
        layers = 2 * (chunk.duration_us + host.prefill_layer_us) / 1e3
        assert spans[part].ms == pytest.approx(layers, rel=1e-14)
        assert spans[part].host_ms == pytest.approx(2 * host.prefill_layer_us / 1e3)
    (post,) = spans[Part("post")].invocations
    assert request.post_ms == (post.duration_us + host.sample_us) / 1e3
    prefill = sum(spans[part].ms for part in chunks)
    assert request.ttft_ms == pytest.approx(prefill + request.post_ms)
    waits = request.preprocess_ms + request.vision_encode_ms + request.ttft_ms
    assert request.image_to_first_token_ms == pytest.approx(waits)
    decode = spans[Part("decode")].invocations[0]
    layers = 2 * (decode.duration_us + host.decode_layer_us) / 1e3
    assert request.token_ms == pytest.approx(layers + request.post_ms)
    assert request.decode_tokens_per_s == pytest.approx(1000 / request.token_ms)
    assert len(request.arrivals_ms) == 5
    assert request.ms == request.arrivals_ms[-1]


@pytest.mark.parametrize("tokens", [1, 2, 3, 9])
def test_any_number_of_tokens_is_what_is_simulated(tokens: int) -> None:
    deployment = Deployment(workload(), load_chip("ax650n"))
    env = simpy.Environment()
    found = env.run(env.process(serve(Soc(env, deployment.chip), deployment, tokens)))
    assert alone(deployment, tokens=tokens) == found
    assert prolonged(alone(deployment), tokens) == found
    assert [each.index for each in found.of("post")] == list(range(tokens))


def test_every_image_is_prepared_and_encoded() -> None:
    one, three = (
        alone(Deployment(workload(images=n, text_tokens=4), load_chip("ax650n"))) for n in (1, 3)
    )
    assert three.vision_encode_ms == one.vision_encode_ms
    assert three.preprocess_ms == pytest.approx(3 * one.preprocess_ms)
    apart = three.image_to_first_token_ms - three.ttft_ms
    assert apart == pytest.approx(3 * (one.image_to_first_token_ms - one.ttft_ms))


def test_parts_that_a_workload_lacks_take_no_time() -> None:
    chip = load_chip("ax630c")
    text = alone(Deployment(workload(ModelConfig(DECODER), prompt_tokens=8), chip))
    assert (text.of("vision"), text.vision_encode_ms, text.preprocess_ms) == ((), 0, 0)
    assert text.image_to_first_token_ms == text.ttft_ms > 0
    tower = alone(Deployment(workload(ModelConfig(None, VISION, VLM.projector)), chip))
    assert list(tower.spans) == [Part("preprocess"), Part("vision")]
    assert (tower.ttft_ms, tower.token_ms, tower.decode_tokens_per_s) == (0, 0, 0)
    assert tower.image_to_first_token_ms > tower.vision_encode_ms > 0


@pytest.mark.parametrize("chip", CHIPS)
def test_twice_the_tops_speed_up_products_and_leave_decode_to_the_memory(
    chip: str, base: dict[str, RequestTimeline]
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
def test_twice_the_data_rate_speeds_up_decode_most(
    chip: str, base: dict[str, RequestTimeline]
) -> None:
    now = base[chip]
    after = timed(chip, dram__data_rate_mtps=2 * (load_chip(chip).dram.data_rate_mtps or 0))
    assert 0.5 * now.token_ms < after.token_ms < 0.75 * now.token_ms
    assert 0.5 * now.post_ms < after.post_ms < 0.6 * now.post_ms
    assert 0.5 * now.vision_encode_ms < after.vision_encode_ms < now.vision_encode_ms
    gain = now.vision_encode_ms / after.vision_encode_ms
    assert gain < now.token_ms / after.token_ms


@pytest.mark.parametrize("chip", CHIPS)
def test_twice_the_cpu_clock_halves_the_host_and_nothing_else(
    chip: str, base: dict[str, RequestTimeline]
) -> None:
    now = base[chip]
    after = timed(chip, cpu__clock_mhz=2 * load_chip(chip).cpu.clock_mhz)
    assert after.preprocess_ms == pytest.approx(now.preprocess_ms / 2)
    # what the runtime spends around a layer is no CPU work: AX630C's slower CPU spends no more
    sampling = now.spans[Part("post")].host_ms
    assert after.token_ms == pytest.approx(now.token_ms - sampling / 2)
    assert after.ttft_ms < now.ttft_ms
    assert after.vision_encode_ms == now.vision_encode_ms
    cores = timed(chip, cpu__cores=2 * load_chip(chip).cpu.cores)
    assert cores.preprocess_ms == pytest.approx(now.preprocess_ms / 2)
    assert cores.token_ms == now.token_ms  # the rest is serial


def test_more_resource_groups_speed_up_what_is_computed(base: dict[str, RequestTimeline]) -> None:
    groups = {n: timed("ax650n", npu__resource_groups=n) for n in (1, 2, 4)}
    groups[3] = base["ax650n"]
    vision = [groups[n].vision_encode_ms for n in (1, 2, 3, 4)]
    assert vision == sorted(vision, reverse=True)
    assert 2 < vision[0] / vision[2] < 3.5
    ttft = [groups[n].ttft_ms for n in (1, 2, 3, 4)]
    assert ttft == sorted(ttft, reverse=True)
    # decode is a bandwidth line: three groups gain little on one
    assert groups[1].token_ms / groups[3].token_ms < 1.3


def test_modes_use_a_part_of_the_groups(base: dict[str, RequestTimeline]) -> None:
    modes = {}
    for mode in ("NPU1", "NPU2", "NPU3"):
        wanted = load_workload("internvl2_1b", {"build.npu_mode": mode}, "448-u8")
        modes[mode] = alone(Deployment(wanted, load_chip("ax650n"))).vision_encode_ms
    assert modes["NPU1"] > modes["NPU2"] > modes["NPU3"]
    assert modes["NPU3"] == base["ax650n"].vision_encode_ms


@pytest.mark.parametrize("chip", CHIPS)
def test_wider_vision_and_larger_images_take_longer(
    chip: str, base: dict[str, RequestTimeline]
) -> None:
    """Published: from 224 to 448 pixels U8 takes 5.1 to 5.6 times as long for 4.5 x the MACs."""
    small, wide = timed(chip, "224-u8"), timed(chip, "448-u16")
    assert base[chip].vision_encode_ms > 4.5 * small.vision_encode_ms
    assert 1.7 < wide.vision_encode_ms / base[chip].vision_encode_ms < 3
    assert wide.ttft_ms == base[chip].ttft_ms  # the decoder does not know
    assert base[chip].ttft_ms > small.ttft_ms  # a chunk of 320 in place of 128
    assert base[chip].token_ms == small.token_ms
