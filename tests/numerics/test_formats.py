import pytest

from axsim.graph.ir import Graph, Node, Tensor
from axsim.network.fusion import fused
from axsim.network.read import read
from axsim.numerics.formats import (
    DecoderScheme,
    UnmatchedPattern,
    VisionScheme,
    assign,
    assign_decoder,
    assign_network,
    assign_vision,
    stored_bytes,
    weight_bytes,
)
from tests.cli.small_network import small


def tiny_graph() -> Graph:
    tensors = [
        Tensor("input", (1, 4), "u8", "input"),
        Tensor("pos", (4, 8), kind="weight"),
        Tensor("w", (8, 8), kind="weight"),
        Tensor("b", (8,), kind="weight"),
        Tensor("gain", (8,), kind="weight"),
        Tensor("shape", (2,), "s64", "constant"),
        Tensor("layers.0.a", (4, 8)),
        Tensor("layers.0.h", (4, 8)),
        Tensor("layers.1.h", (4, 8)),
        Tensor("output", (4, 8), kind="output"),
    ]
    nodes = (
        Node("add", "Add", ("input", "pos"), ("layers.0.a",)),
        Node("fc", "Gemm", ("layers.0.a", "w", "b"), ("layers.0.h",), {"transB": 1}),
        Node("ls", "Mul", ("layers.0.h", "gain"), ("layers.1.h",)),
        Node("out", "Reshape", ("layers.1.h", "shape"), ("output",)),
    )
    return Graph("tiny", {t.name: t for t in tensors}, nodes, ("input",), ("output",))


@pytest.mark.parametrize("dtype", ["u8", "u16"])
def test_integer_vision_scheme_follows_the_role_of_each_tensor(dtype):
    tensors = assign_vision(tiny_graph(), dtype).tensors
    found = {name: t.dtype for name, t in tensors.items()}
    assert found == {
        "input": "u8", "pos": dtype, "w": "s8", "b": "s32", "gain": "f32", "shape": "s64",
        "layers.0.a": dtype, "layers.0.h": dtype, "layers.1.h": dtype, "output": "f32",
    }  # fmt: skip


def test_bf16_vision_keeps_bias_in_float():
    tensors = assign_vision(tiny_graph(), "bf16").tensors
    assert (tensors["w"].dtype, tensors["b"].dtype) == ("s8", "f32")
    assert tensors["output"].dtype == "bf16"


def test_overrides_lift_matching_activations_and_reject_unknown_patterns():
    scheme = VisionScheme("u8", {"layers.*": "u16", "layers.1.*": "u8"})
    tensors = assign(tiny_graph(), scheme).tensors
    assert tensors["layers.0.h"].dtype == "u16"
    assert tensors["layers.1.h"].dtype == "u8"
    assert tensors["w"].dtype == "s8"
    with pytest.raises(ValueError, match=r"layer\.9"):
        assign(tiny_graph(), VisionScheme("u8", {"layer.9*": "u16"}))


def test_decoder_scheme_is_weight_only():
    graph = assign_decoder(tiny_graph(), "s4", "bf16")
    assert graph.tensors["w"].dtype == "s4"
    assert graph.tensors["b"].dtype == "f32"
    assert graph.tensors["output"].dtype == "bf16"
    assert graph.tensors["input"].dtype == "u8"
    assert assign(tiny_graph(), DecoderScheme("s4")).tensors == graph.tensors


def test_stored_sizes_match_the_published_files():
    # measured on a real file: head 155 582 464 S8 weights occupy 168 711 940 bytes on disk
    head = Tensor("lm_head.weight", (151936, 1024), "s8", "weight")
    assert stored_bytes(head, "head", "disk") == pytest.approx(168_711_940, rel=1e-3)
    layer = Tensor("layer", (15_360, 1024), "s8", "weight")
    assert stored_bytes(layer, "decoder", "disk") == pytest.approx(17_360_392, rel=1e-3)
    assert stored_bytes(layer, "decoder") == round(15_728_640 * 1.1037)


def test_stored_size_of_other_dtypes():
    assert stored_bytes(Tensor("w", (4, 100), "bf16", "weight")) == 1600
    assert stored_bytes(Tensor("w", (4, 8), "s8", "weight")) == 4 * 8 + 4 * 4
    assert stored_bytes(Tensor("x", (4, 8), "u16")) == 64
    graph = assign_decoder(tiny_graph())
    assert weight_bytes(graph) == (8 * 8 + 8 * 4) + 4 * (8 + 8 + 32)


def test_a_type_of_nodes_names_all_of_a_network_and_what_is_absorbed_goes_by_its_names(tmp_path):
    pytest.importorskip("onnx")
    graph = fused(read(small(tmp_path) / "models" / "small.onnx", {"x": (1, 3, 8, 8)})).graph
    for pattern, lifted in (
        ("op_type:Conv", {"a", "b", "c"}),  # the Relu's result is what the first Conv stores
        ("op_type:Sigmoid", {"y"}),
        ("first", {"a", "b"}),
        ("op_type:Softmax", set()),  # there is none
    ):
        found = assign_network(graph, "u8", {pattern: "u16"})
        wide = {name for name, tensor in found.tensors.items() if tensor.dtype == "u16"}
        assert wide == lifted, pattern
    for pattern in ("op_type:Sotfmax", "nowhere"):
        with pytest.raises(UnmatchedPattern):
            assign_network(graph, "u8", {pattern: "u16"})
