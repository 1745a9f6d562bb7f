"""Small graphs with storage dtypes, and chips of all kinds, for the compiler and the machine."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from axsim.compiler.compile import compile_graph
from axsim.compiler.lower import Operation, lower
from axsim.compiler.program import Program
from axsim.graph.ir import Graph
from axsim.models.config import DecoderConfig, ProjectorConfig, VisionConfig
from axsim.models.decoder import decoder_layer_graph, post_graph
from axsim.models.vision import vision_graph
from axsim.numerics.formats import DecoderScheme, Part, VisionScheme, assign
from axsim.spec.chip import Chip, load_chip
from tests.models.towers import tower as small_tower

TOWER = small_tower(4, 64, 2, 56)
DECODER = DecoderConfig("qwen2", 2, 64, 96, 4, 2, 101)


def tower(dtype: Any = "u8", config: VisionConfig = TOWER, size: int = 56) -> Graph:
    """Four layers of 17 tokens, with the projector."""
    return assign(vision_graph(config, size, ProjectorConfig(32)), VisionScheme(dtype))


def layer(
    new: int = 8, cached: int = 0, weights: Any = "s8", config: DecoderConfig = DECODER
) -> Graph:
    """A decoder layer: prefill of one chunk unless told otherwise."""
    return assign(decoder_layer_graph(config, new, cached), DecoderScheme(weights))


def by_label(graph: Graph, float_matmul_on_conv: bool = False) -> dict[str, Operation]:
    """The lowered operations by label."""
    return {each.label: each for each in lower(graph, float_matmul_on_conv).operations}


def compiled(
    graph: Graph, chip: Chip, mode: str | None = None, part: Part = "decoder", **options: Any
) -> Program:
    """The program for an NPU mode, the largest when not given."""
    return compile_graph(graph, chip, chip.mode(mode or chip.default_mode), part=part, **options)


@st.composite
def graphs(draw: st.DrawFn) -> tuple[Graph, Part]:
    """Towers, layers and posts of any family and storage type, 16 to 256 channels wide."""
    heads = draw(st.sampled_from([2, 4]))
    hidden = heads * draw(st.sampled_from([8, 16, 64]))
    if draw(st.booleans()):
        parts = {"class_token": draw(st.booleans()), "layer_scale": draw(st.booleans())}
        config = small_tower(draw(st.integers(1, 3)), hidden, heads, 56, **parts)
        dtype = draw(st.sampled_from(["u8", "u16", "bf16"]))
        return tower(dtype, config, draw(st.sampled_from([28, 56, 112]))), "vision"
    family: Any = draw(st.sampled_from(["qwen2", "qwen3", "llama", "phi2"]))
    kv_heads = draw(st.sampled_from([1, 2]))
    decoder = DecoderConfig(family, 2, hidden, 3 * hidden, heads, kv_heads, 101)
    weights: Any = draw(st.sampled_from(["s8", "s4", "bf16"]))
    if draw(st.integers(0, 3)) == 0:
        return assign(post_graph(decoder), DecoderScheme(weights)), "head"
    new = draw(st.sampled_from([1, 7, 32]))
    return layer(new, draw(st.sampled_from([0, 5, 100])), weights, decoder), "decoder"


@st.composite
def chips(draw: st.DrawFn) -> Chip:
    """Chips whose memory is often too small, with odd numbers of units and groups."""
    return load_chip(
        draw(st.sampled_from(["ax630c", "ax650n"])),
        {
            "npu.resource_groups": draw(st.integers(1, 4)),
            "npu.conv_per_group": draw(st.integers(1, 3)),
            "npu.teng_per_group": draw(st.integers(1, 2)),
            "npu.ocm_bytes": draw(st.sampled_from([2_000, 30_000, 300_000, 10_000_000])),
            "npu.step_us": draw(st.sampled_from([0, 1])),
            "dram.data_rate_mtps": draw(st.sampled_from([50, 1000, 4266])),
        },
    )
