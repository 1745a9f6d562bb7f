"""Lowering: what becomes a step, on which unit, and that no node is lost."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings

from axsim.compiler.lower import is_free, lower
from axsim.graph.builder import GraphBuilder
from axsim.graph.ir import Graph
from axsim.graph.ops import OPERATORS
from axsim.models.config import DecoderConfig
from axsim.numerics.formats import Part, VisionScheme, assign, assign_network
from tests.compiler.small import DECODER, by_label, graphs, layer, tower


def work(graph: Graph) -> dict[str, int]:
    """MACs and element operations of the nodes that are no views."""
    total = {"macs": 0, "passes": 0, "transcendentals": 0}
    for node in graph.nodes:
        found = OPERATORS[node.op].work(
            graph.shapes(node.inputs), graph.shapes(node.outputs), node.attrs
        )
        total["macs"] += found.macs
        if is_free(graph, node):
            continue
        if found.macs == 0:
            total["passes"] += found.passes + found.moves
            total["transcendentals"] += found.transcendentals
    return total


def dependencies_hold(graph: Graph, order: list[str]) -> None:
    """Every node comes once, after those that make its inputs."""
    assert Counter(order) == Counter(node.name for node in graph.nodes)
    made = {n for n, t in graph.tensors.items() if t.kind in ("input", "weight", "constant")}
    nodes = {node.name: node for node in graph.nodes}
    for name in order:
        missing = set(filter(None, nodes[name].inputs)) - made
        assert not missing, f"{name} runs before {missing}"
        made.update(nodes[name].outputs)


@settings(max_examples=40, deadline=None)
@given(graphs())
def test_every_node_retires_once_and_after_what_it_reads(case: tuple[Graph, Part]) -> None:
    graph, _ = case
    order = [name for operation in lower(graph).operations for name in operation.nodes]
    dependencies_hold(graph, order)


@settings(max_examples=40, deadline=None)
@given(graphs())
def test_work_is_that_of_the_graph(case: tuple[Graph, Part]) -> None:
    graph, _ = case
    operations = lower(graph).operations
    assert {
        "macs": sum(each.macs for each in operations),
        "passes": sum(each.vector_ops for each in operations),
        "transcendentals": sum(each.transcendentals for each in operations),
    } == work(graph)


def test_a_view_of_a_weight_comes_before_its_reader() -> None:
    b = GraphBuilder("views")
    x = b.input("x", (4, 8))
    early = b.node("Gelu", [x], name="early")
    late = b.node("Add", [b.node("Mul", [x, early], name="a"), early], name="late")
    token = b.node("Reshape", [b.weight("w", (1, 1, 8))], name="token", shape=(1, 8))
    joined = b.node("Concat", [token, early], name="joined", axis=0)
    end = b.node("Add", [joined, b.node("Concat", [token, late], name="other", axis=0)], name="end")
    graph = b.build([end])
    order = [name for operation in lower(graph).operations for name in operation.nodes]
    dependencies_hold(graph, order)


def test_layout_operators_are_no_steps() -> None:
    operations = by_label(layer(cached=16))
    graph = layer(cached=16)
    views = {node.name for node in graph.nodes if is_free(graph, node)}
    assert {"attn.q_heads", "attn.k_concat", "attn.merge", "input.rows"} <= views
    assert not views & operations.keys()


def test_a_view_is_read_as_what_it_views() -> None:
    operations = by_label(layer(cached=16))
    # scores read the new keys and the cache behind Concat, Reshape and Transpose
    assert operations["attn.scores"].reads[:3] == ["attn.q_rope", "K_cache", "K_cache_out"]
    assert operations["attn.context"].reads == ["attn.softmax", "V_cache", "attn.v_proj"]
    # outputs are known by the tensors that hold them
    assert lower(layer()).outputs.keys() == {"K_cache_out", "attn.v_proj", "mlp.residual"}


def test_weights_behind_views_are_loaded_and_outputs_leave_in_their_own_dtype() -> None:
    graph = tower()
    lowered = lower(graph)
    loaded = {weight.name for each in lowered.operations for weight in each.weights}
    assert loaded == {tensor.name for tensor in graph.weights()}
    (name,) = graph.outputs
    assert graph.tensors[name].dtype == "f32"
    assert sum(lowered.outputs.values()) == graph.tensors[name].bytes


def test_pixels_are_converted_by_a_step_but_other_casts_are_views() -> None:
    assert by_label(tower())["normalize.cast"].nodes[:3] == [
        "normalize.cast",
        "normalize.sub",
        "normalize.mul",
    ]


@pytest.mark.parametrize(
    ("graph", "flag", "unit"),
    [
        (tower("u8"), False, "conv"),
        (tower("u16"), False, "conv"),
        (tower("bf16"), False, "teng"),
        (tower("bf16"), True, "conv"),
        (layer(), False, "teng"),
        (layer(), True, "conv"),
    ],
)
def test_products_of_activations_by_dtype_and_flag(graph: Graph, flag: bool, unit: str) -> None:
    operations = by_label(graph, flag)
    attention = [each for each in operations.values() if each.operator == "attention matmul"]
    assert attention
    assert {each.unit for each in attention} == {unit}
    projections = [each for each in operations.values() if each.operator == "projection"]
    assert {each.unit for each in projections} == {"conv"}


def test_a_chain_of_vector_operators_is_one_step() -> None:
    b = GraphBuilder("chain")
    x = b.input("x", (4, 8))
    x = b.node("Mul", [x, b.literal("two", 2.0)], name="mul")
    x = b.node("Add", [x, x], name="add")  # reads it twice: the one reader, but two inputs
    x = b.node("Gelu", [x], name="gelu")
    end = b.node("Softmax", [x], name="end", axis=-1)
    found = by_label(b.build([end]))
    assert {name: each.nodes for name, each in found.items()} == {
        "mul": ["mul"],
        "add": ["add", "gelu", "end"],
    }
    assert found["add"].writes == ["end"]


def test_a_result_with_two_readers_ends_a_chain() -> None:
    b = GraphBuilder("fork")
    x = b.input("x", (4, 8))
    first = b.node("Gelu", [x], name="first")
    second = b.node("Swish", [first], name="second")
    end = b.node("Add", [first, second], name="end")
    found = by_label(b.build([end]))
    assert [each.nodes for each in found.values()] == [["first"], ["second", "end"]]
    assert found["second"].reads == ["first"]


def test_a_graph_output_ends_a_chain() -> None:
    b = GraphBuilder("tap")
    first = b.node("Gelu", [b.input("x", (4, 8))], name="first")
    second = b.node("Swish", [first], name="second")
    found = by_label(b.build([first, second]))
    assert [each.nodes for each in found.values()] == [["first"], ["second"]]


def test_softmax_and_mask_follow_their_scores_in_one_step() -> None:
    scores = by_label(layer())["attn.scores"]
    assert scores.nodes == ["attn.scores", "attn.scale", "attn.mask", "attn.softmax"]
    assert scores.vector_reads == {"mask"}
    assert scores.operator == "attention matmul"


def test_swiglu_rides_on_its_projections() -> None:
    found = by_label(layer())
    assert found["mlp.gate_proj"].nodes == ["mlp.gate_proj", "mlp.silu"]
    assert found["mlp.up_proj"].nodes == ["mlp.up_proj", "mlp.mul"]
    assert found["mlp.up_proj"].vector_reads == {"mlp.silu"}
    assert found["mlp.down_proj"].nodes[:2] == ["mlp.down_proj", "mlp.residual"]
    elements = 8 * DECODER.intermediate_size
    assert found["mlp.up_proj"].vector_ops == elements  # one product each
    assert found["mlp.gate_proj"].transcendentals == 2 * elements  # exp, reciprocal


def test_grouped_queries_are_rows_of_one_product() -> None:
    scores = by_label(layer(new=8, cached=24))["attn.scores"].matmul
    assert scores is not None
    heads, shared = DECODER.num_attention_heads, DECODER.num_key_value_heads
    assert (scores.batch, scores.rows, scores.rows_per_head) == (shared, 8 * heads // shared, 8)
    assert (scores.inner, scores.columns) == (DECODER.head_dim, 32)
    assert scores.macs == heads * 8 * DECODER.head_dim * 32
    every = DecoderConfig("llama", 1, 64, 96, 4, 4, 101)
    alone = by_label(layer(new=8, config=every))["attn.scores"].matmul
    assert alone is not None
    assert (alone.batch, alone.rows) == (4, 8)


def test_products_of_a_weight_for_each_head_are_projections() -> None:
    b = GraphBuilder("heads")
    y = b.node("MatMul", [b.input("x", (1, 8, 32, 64)), b.weight("w", (8, 64, 48))], name="y")
    (found,) = lower(assign_network(b.build([y]), "u8")).operations
    assert (found.operator, found.attention) == ("projection", False)
    assert found.matmul is not None
    assert (found.matmul.batch, found.matmul.rows, found.matmul.inner) == (8, 32, 64)


@pytest.mark.parametrize(("dtype", "bits"), [("u8", 8), ("u16", 16), ("bf16", 32)])
def test_widths_in_the_vector_unit(dtype: Any, bits: int) -> None:
    found = by_label(tower(dtype))
    assert found["layers.1.mlp.fc1"].bits == bits
    assert found["layers.1.attn.scale"].bits == bits
    assert found["layers.1.norm1"].bits == max(bits, 16)  # no norm computes in 8 bits


def test_what_norms_read_is_kept_in_16_bits_however_narrow_the_tower() -> None:
    narrow, wide = lower(tower("u8")), lower(tower("u16"))
    residual, scores = "layers.1.attn.residual", "layers.1.attn.softmax"
    assert narrow.bytes(residual) == wide.bytes(residual)
    assert narrow.bytes(scores) == wide.bytes(scores) / 2
    assert not wide.wide
    # the projector's norm reads the last layer through views
    assert "layers.1.mlp.residual" in narrow.wide


def test_an_operation_reads_the_part_of_a_tensor_that_its_view_shows() -> None:
    found = by_label(tower("u8"))
    assert found["layers.1.attn.scale"].shares["layers.1.attn.qkv"] == pytest.approx(1 / 3)
    assert found["layers.1.attn.context"].shares["layers.1.attn.qkv"] == pytest.approx(1 / 3)
    assert found["layers.1.mlp.fc2"].shares["layers.1.mlp.gelu"] == 1


def test_float_products_of_many_rows_load_their_weights_in_turn() -> None:
    prefill, decode = by_label(layer(new=8)), by_label(layer(new=1, cached=16))
    assert prefill["attn.q_proj"].loads_in_turn
    assert not decode["attn.q_proj"].loads_in_turn
    assert not by_label(tower("u8"))["layers.1.attn.qkv"].loads_in_turn
    assert by_label(tower("bf16"))["layers.1.attn.qkv"].loads_in_turn


def test_matmul_of_the_patch_embedding() -> None:
    graph = tower("u16")
    found = by_label(graph)["patch_embedding"].matmul
    assert found is not None
    assert (found.rows, found.inner, found.columns) == (16, 3 * 14 * 14, 64)
    assert (found.left, found.right, found.right_is_weight) == ("u16", "s8", True)


def test_operators_are_classes_for_the_report() -> None:
    operations = by_label(layer(cached=16))
    assert {name: operations[name].operator for name in operations if "." not in name} == {
        "input_layernorm": "norm",
        "post_attention_layernorm": "norm",
    }
    assert operations["rope.cos"].operator == operations["attn.q_rope"].operator == "rope"
    b = GraphBuilder("activation")
    alone = assign(b.build([b.node("Gelu", [b.input("x", (4, 8))], name="g")]), VisionScheme("u8"))
    assert by_label(alone)["g"].operator == "activation"
