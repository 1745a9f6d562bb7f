"""Depth-first bands: feature maps larger than on-chip memory, and engines side by side."""

from __future__ import annotations

import pytest

from axsim.compiler.bands import bands
from axsim.compiler.compile import compile_graph
from axsim.compiler.cost import conv_cycles
from axsim.compiler.lower import Matmul, lower
from axsim.graph.builder import GraphBuilder
from axsim.graph.ir import Graph
from axsim.machine.npu import Npu
from axsim.numerics.formats import assign_network
from axsim.spec.chip import load_chip

CHIP = load_chip("ax630c", {"npu.networks.bands": 8})
MODE = CHIP.mode("NPU2")


def convolutions(
    size: int, channels: int = 32, layers: int = 4, batch: int = 1, width: int = 0
) -> Graph:
    b = GraphBuilder("convolutions")
    x = b.input("x", (batch, 3, size, width or size))
    for layer in range(layers):
        inputs = 3 if layer == 0 else channels
        weight = b.weight(f"w{layer}", (channels, inputs, 3, 3))
        last = layer == layers - 1
        x = b.node(
            "Conv", [x, weight], name=f"conv{layer}", pads=(1, 1, 1, 1),
            strides=(8, 8) if last else (1, 1),
        )  # fmt: skip
    return assign_network(b.build([x]), "u8")


def attention(batch: int, windows: int, tokens: int = 64, heads: int = 4, width: int = 32) -> Graph:
    """Two layers of attention within so many windows of each image."""
    b = GraphBuilder("attention")
    channels = heads * width
    rows = (batch, windows * tokens, channels)
    x = b.input("x", rows)
    for layer in range(2):
        split = []
        for part, axes in (("q", (0, 2, 1, 3)), ("k", (0, 2, 3, 1)), ("v", (0, 2, 1, 3))):
            weight = b.weight(f"w{part}{layer}", (channels, channels))
            y = b.node("Reshape", [x], name=f"{part}{layer}.flat", shape=(-1, channels))
            y = b.node("Gemm", [y, weight], name=f"{part}{layer}")
            shape = (batch * windows, tokens, heads, width)
            y = b.node("Reshape", [y], name=f"{part}{layer}.heads", shape=shape)
            split.append(b.node("Transpose", [y], name=f"{part}{layer}.turned", perm=axes))
        scores = b.node("MatMul", split[:2], name=f"scores{layer}")
        scores = b.node("Softmax", [scores], name=f"softmax{layer}", axis=-1)
        y = b.node("MatMul", [scores, split[2]], name=f"context{layer}")
        y = b.node("Transpose", [y], name=f"context{layer}.turned", perm=(0, 2, 1, 3))
        y = b.node("Reshape", [y], name=f"context{layer}.rows", shape=rows)
        x = b.node("Add", [x, y], name=f"sum{layer}")
    return assign_network(b.build([x]), "u8")


def swapped(graph: Graph, part: str) -> float:
    program = compile_graph(graph, CHIP, MODE, part=part)
    return sum(
        task.dram_bytes
        for segment in program.segments
        for task in segment.tasks
        if task.kind == "ld:ddr_swap"
    )


def test_maps_larger_than_on_chip_memory_stay_out_of_dram_where_bands_fit() -> None:
    graph = convolutions(288)
    largest = max(tensor.bytes for tensor in graph.tensors.values())
    assert largest > CHIP.npu.ocm_bytes
    assert swapped(graph, "vision") > 0
    assert swapped(graph, "network") == 0


def test_a_band_is_smaller_than_its_tensor_and_grows_with_the_halos_around_it() -> None:
    lowered = lower(convolutions(64))
    found = bands(lowered, [0.0] * len(lowered.operations), 1.0, CHIP.npu.networks)
    assert set(found) == {"x", *(name for each in lowered.operations for name in each.writes)}
    assert all(0 < size < lowered.bytes(name) / 4 for name, size in found.items())


def test_finer_bands_have_four_rows_of_an_image_at_least() -> None:
    lowered = lower(convolutions(96, batch=3))

    def share(finer: int) -> float:
        weights = [0.0] * len(lowered.operations)
        found = bands(lowered, weights, 1.0, CHIP.npu.networks, finer)
        return lowered.bytes("conv1") / found["conv1"] * (1 + CHIP.npu.networks.halo)

    assert [share(finer) for finer in (1, 4, 1000)] == pytest.approx([8, 32, 3 * 96 / 4])


def took(graph: Graph) -> float:
    return Npu().run(compile_graph(graph, CHIP, MODE, part="network")).duration_ms


def test_a_batch_takes_no_longer_than_its_images_one_after_the_other() -> None:
    one, many = (convolutions(160, batch=n) for n in (1, 16))
    assert sum(each.bytes for each in many.tensors.values()) > 10 * CHIP.npu.ocm_bytes
    assert took(one) * 14 < took(many) < took(one) * 16


@pytest.mark.parametrize(("windows", "tokens"), [(16, 64), (16, 256), (1, 1024)])
def test_a_batch_of_attention_takes_as_long_as_its_images(windows, tokens) -> None:
    one, many = (attention(n, windows, tokens) for n in (1, 16))
    assert sum(each.bytes for each in many.tensors.values()) > 10 * CHIP.npu.ocm_bytes
    assert took(one) * 12 < took(many) < took(one) * 16
    assert took(attention(2, windows, tokens)) > took(one)


def test_tokens_that_all_attend_to_each_other_go_in_no_bands_in_a_batch_either() -> None:
    for batch in (1, 8):
        for windows, cut in ((1, False), (2, True)):
            lowered = lower(attention(batch, windows))
            found = bands(lowered, [0.0] * len(lowered.operations), 1.0, CHIP.npu.networks)
            assert ("softmax0" in found) == cut


def test_a_wide_image_takes_as_long_as_a_tall_one() -> None:
    wide, tall = convolutions(256, layers=8, width=4096), convolutions(4096, layers=8, width=256)
    assert took(wide) == pytest.approx(took(tall), rel=0.01)


def test_four_times_the_pixels_take_four_times_as_long() -> None:
    small, large = (convolutions(size, layers=8) for size in (160, 320))
    assert took(large) == pytest.approx(4 * took(small), rel=0.15)


def test_weights_that_cannot_stay_keep_a_tensor_whole() -> None:
    lowered = lower(convolutions(64))
    assert not bands(lowered, [1.0] * len(lowered.operations), 0.5, CHIP.npu.networks)


def test_a_network_runs_no_slower_in_bands() -> None:
    graph = convolutions(288)
    times = {
        part: Npu().run(compile_graph(graph, CHIP, MODE, part=part)).duration_ms
        for part in ("vision", "network")
    }
    assert times["network"] < times["vision"]


def convolution(rows: int, width: int, inner: int, columns: int, depthwise=False) -> Matmul:
    return Matmul(1, rows, inner, columns, "u8", "s8", True, width=width, depthwise=depthwise)


def test_a_depthwise_convolution_uses_one_column_of_sixteen() -> None:
    chip = load_chip("ax650n")
    dense = conv_cycles(chip, convolution(56 * 56, 56, 64 * 9, 64), 2)
    alone = conv_cycles(chip, convolution(56 * 56, 56, 9, 64, depthwise=True), 2)
    assert alone == pytest.approx(dense * 16 / 64)


@pytest.mark.parametrize(("width", "padded"), [(56, 56), (57, 64), (7, 8), (17, 24)])
def test_pixels_come_in_groups_of_eight_on_ax650n(width, padded) -> None:
    chip = load_chip("ax650n")
    found = conv_cycles(chip, convolution(width * 128, width, 1024, 64), 2)
    assert found == 128 * padded * 1024 * 64 / 2 / 1024


def test_a_few_columns_are_shared_as_bands_of_the_height() -> None:
    chip = load_chip("ax650n")
    one, three = (conv_cycles(chip, convolution(96 * 96, 96, 576, 32), n) for n in (2, 6))
    assert one / three == pytest.approx(3)
