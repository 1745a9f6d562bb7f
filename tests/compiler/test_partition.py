"""Deployed subgraphs and what they occupy, against the published package of InternVL2-1B."""

from __future__ import annotations

import pytest

from axsim.compiler.partition import Deployment
from axsim.spec.chip import load_chip
from axsim.spec.workload import load_workload
from tests.runs.tiny import DECODER, VLM, workload
from tests.runs.tiny import VISION as TOWER

AX650N = load_chip("ax650n")
MIB = 1 << 20


def test_sizes_of_the_published_files() -> None:
    """Listed by the vendor: vision 325, embeddings 259, a decoder layer 16, post 141 (MiB)."""
    memory = Deployment(load_workload("internvl2_1b", variant="224-u8"), AX650N).memory
    assert memory.weights["vision"] == pytest.approx(325 * MIB, rel=0.05)
    assert memory.embedding == pytest.approx(259 * MIB, rel=0.05)
    assert memory.weights["layers"] / 24 == pytest.approx(16 * MIB, rel=0.05)
    assert memory.weights["post"] == pytest.approx(141 * MIB, rel=0.05)
    assert memory.kv_cache == 24 * 2 * 1023 * 128 * 2
    assert memory.total == (
        sum(memory.weights.values()) + memory.kv_cache + memory.activations + memory.embedding
    )
    assert memory.fits


def test_flash_holds_bf16_weights_as_they_are_and_dram_as_32_bit_words() -> None:
    keys = {"build.weight_dtype": "bf16", "build.post_weight_dtype": "bf16"}
    memory = Deployment(load_workload("qwen3_0_6b", keys), AX650N).memory
    assert memory.weights["layers"] / memory.stored["layers"] == pytest.approx(2, rel=0.01)
    assert memory.weights["post"] / memory.stored["post"] == pytest.approx(2, rel=0.01)


def test_a_model_larger_than_the_memory_does_not_fit() -> None:
    small = load_chip("ax650n", {"dram.capacity_bytes": 700 * MIB})
    assert not Deployment(load_workload("internvl2_1b", variant="224-u8"), small).memory.fits


def test_a_board_keeps_the_embedding_table_apart_from_the_memory_of_the_npu() -> None:
    whole = Deployment(load_workload("internvl2_1b", variant="224-u8"), AX650N).memory
    for keys in ({"dram.npu_bytes": 900 * MIB}, {"host.link": "pcie"}):
        chip = load_chip("ax650n", keys)
        memory = Deployment(load_workload("internvl2_1b", variant="224-u8"), chip).memory
        assert memory.npu == whole.npu == whole.total - whole.embedding
        assert memory.total == memory.npu
        assert memory.fits
        assert memory.capacity == chip.dram.npu_bytes or chip.dram.capacity_bytes
    small = load_chip("ax650n", {"dram.npu_bytes": 700 * MIB})
    memory = Deployment(load_workload("internvl2_1b", variant="224-u8"), small).memory
    assert memory.verdict == f"does not fit: needs {-(-memory.npu // MIB)} MiB, has 700"


def test_the_groups_of_a_decoder_layer() -> None:
    deployment = Deployment(workload(), AX650N)  # 20 tokens in chunks of 8, a cache of 40
    assert [each.graph.name for each in deployment.prefill] == [
        "prefill_n8_h0",
        "prefill_n8_h8",
        "prefill_n8_h16",
    ]
    assert deployment.decode.graph.name == "decode_n1_h40"
    assert deployment.post.graph.name == "post"
    assert deployment.vision is not None
    assert deployment.vision.graph.tensors["input"].shape == (1, 56, 56, 3)
    assert deployment.decode is deployment.decode  # compiled once


def test_turns_share_what_is_compiled_and_slots_hold_their_caches() -> None:
    turns = ({"text_tokens": 4, "images": 1}, {"text_tokens": 20})
    build = {"kv_cache_len": 60, "kv_slots": 3, "prefill_history": (0, 16, 32)}
    talk = Deployment(workload(build=build, text_tokens=None, turns=turns), AX650N)
    first, second = talk.turns
    assert [each.graph.name for each in second.prefill] == ["prefill_n8_h16"] + [
        "prefill_n8_h32"
    ] * 2  # after 12 tokens, 20 and 28
    assert second.decode is talk.decode
    assert second.vision is talk.vision
    lone = Deployment(workload(build=build | {"kv_slots": 1}), AX650N).memory
    assert talk.memory.kv_cache == 3 * lone.kv_cache
    assert talk.memory.kv_slot == lone.kv_cache == 2 * 2 * 60 * 16 * 2
    longest = second.prefill[-1].program.activation_bytes
    assert talk.memory.activations >= longest > first.prefill[0].program.activation_bytes


def test_parts_that_a_model_lacks() -> None:
    from axsim.models.config import ModelConfig

    text = Deployment(workload(ModelConfig(DECODER), prompt_tokens=8), AX650N)
    assert text.vision is None
    assert text.memory.weights["vision"] == 0
    tower = Deployment(workload(ModelConfig(None, TOWER, VLM.projector)), AX650N)
    assert tower.prefill == ()
    assert (tower.memory.kv_cache, tower.memory.embedding) == (0, 0)
    assert set(tower.memory.weights) == {"vision"}


def test_the_mode_of_the_build_or_the_largest() -> None:
    assert Deployment(workload(), AX650N).mode.groups == 3
    one = Deployment(workload(build={"npu_mode": "NPU1"}), AX650N)
    assert one.mode.groups == 1
    assert len(one.decode.program.engines) == 5


@pytest.mark.parametrize(
    ("stored", "bytes_each"), [("plain", 1), ("padded", 1.1037), ("gptq", 1.16)]
)
def test_layers_take_the_bytes_of_their_stored_format(stored: str, bytes_each: float) -> None:
    keys = {"build.weight_format": stored}
    layer = Deployment(load_workload("internvl2_1b", keys, "224-u8"), AX650N).decode
    weights = 896 * (2 * 896 + 2 * 128) + 3 * 896 * 4864
    # beside the codes, a scale of four bytes for each row, and norms and biases
    assert layer.program.weight_bytes == pytest.approx(weights * bytes_each, rel=0.01)
    default = Deployment(load_workload("internvl2_1b", variant="224-u8"), AX650N).decode
    assert (layer.program.weight_bytes == default.program.weight_bytes) is (stored == "padded")
