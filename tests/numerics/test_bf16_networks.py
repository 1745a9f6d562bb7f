"""Networks in bf16 beside onnxruntime in float32."""

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from axsim.network.fusion import fused
from axsim.network.read import read
from axsim.numerics.executor import Executor
from axsim.numerics.formats import assign_network
from axsim.numerics.weight_only import WeightOnly
from tests.network.filled import session
from tests.numerics.models import cosine

RNG = np.random.default_rng(3)


def node(op, inputs, outputs, **attrs):
    return helper.make_node(op, inputs.split(), outputs.split(), **attrs)


def array(*shape):
    return RNG.standard_normal(shape).astype(np.float32)


MASK = np.triu(np.full((200, 200), -1e4, np.float32), 1)
CASES = {
    "a mask of rows": (
        [node("MatMul", "x w", "a"), node("Add", "a m", "b"), node("Softmax", "b", "y")],
        (200, 64), {"w": array(64, 200) / 4, "m": MASK}, "y",
    ),
    "positions added to rows": (
        [node("MatMul", "x w", "a"), node("Add", "p a", "b"), node("MatMul", "b v", "y")],
        (300, 64), {"w": array(64, 96), "p": array(300, 96), "v": array(96, 32)}, "y",
    ),
    "a table that is a matrix as well": (
        [node("ArgMax", "x", "i", axis=1, keepdims=0), node("Gather", "t i", "g"),
         node("MatMul", "x t", "l"), node("Add", "l g", "y")],
        (50, 48), {"t": array(48, 70)}, "y",
    ),
    "places of the largest": (
        [node("Relu", "x", "r"), node("TopK", "r k", "y i", axis=1)],
        (4, 900), {"k": np.array([20])}, "y i",
    ),
    "anchors that do not lie together": (
        [node("Transpose", "a", "t", perm=[0, 2, 1]), node("Mul", "x t", "m"),
         node("Sigmoid", "m", "y")],
        (1, 2, 500), {"a": array(1, 500, 2)}, "y",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_networks_in_bf16_are_near_onnxruntime(name, tmp_path):
    nodes, shape, weights, ends = CASES[name]
    path = tmp_path / "net.onnx"
    graph = helper.make_graph(
        nodes, "net",
        [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, shape)],
        [onnx.ValueInfoProto(name=end) for end in ends.split()],
        [numpy_helper.from_array(values, each) for each, values in weights.items()],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(onnx.shape_inference.infer_shapes(model, data_prop=True), path)
    # Numbers of bf16 that differ within a row, so that no two of the largest change places.
    bits = RNG.permuted(np.broadcast_to(np.arange(0x3E00, 0x3E00 + shape[-1]), shape), axis=-1)
    x = {"x": (bits.astype(np.uint32) << 16).view(np.float32) * RNG.choice((-1, 1), shape)}
    x["x"] = x["x"].astype(np.float32)
    expected = dict(zip(ends.split(), session(path).run(None, x), strict=True))
    network = fused(read(path))
    assigned = assign_network(network.graph, "bf16")
    for keep in ((), [n for each in assigned.nodes for n in each.outputs]):
        found = Executor(assigned, network.weight, WeightOnly(), keep=keep).run_all(x)
        for end, values in found.items():
            assert values.shape == expected[end].shape
            assert cosine(values.astype(float), expected[end].astype(float)) > 0.999, end
