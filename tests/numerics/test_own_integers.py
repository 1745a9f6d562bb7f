"""Networks that compute with integers of their own: float32 and codes beside onnxruntime."""

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from axsim.network.fusion import fused
from axsim.network.read import read
from axsim.numerics.executor import Executor
from axsim.numerics.formats import assign_network
from axsim.numerics.integer_graph import Integer
from axsim.numerics.ranges import Calibration
from tests.network.filled import session

RNG = np.random.default_rng(11)
IMAGE = (1, 3, 12, 12)


def node(op, inputs, outputs, **attrs):
    names = ["" if name == "-" else name for name in inputs.split()]
    return helper.make_node(op, names, outputs.split(), **attrs)


def cast(x, y, to):
    return node("Cast", f"{x} ", y, to=helper.np_dtype_to_tensor_dtype(np.dtype(to)))


def array(*shape):
    return RNG.standard_normal(shape).astype(np.float32) / 5


REAL = cast("x", "f", "f4")
CONV = node("Conv", "f w b", "c", pads=[1, 1, 1, 1])
BEST = [REAL, CONV, node("ArgMax", "c", "a", axis=1, keepdims=0)]
ROWS = [node("Gather", "t r", "e"), node("MatMul", "e m", "y")]
WEIGHTS = {"w": array(6, 3, 3, 3), "b": array(6)}
TABLE = {"t": array(40, 8), "m": array(8, 5)}
NUMBERS = {"one": np.int64(1), "three": np.int64(3), "nine": np.int64(9)}

CASES = {
    "grey levels turned": (
        [node("Transpose", "x", "g", perm=[0, 3, 1, 2]), cast("g", "f", "f4"), CONV],
        "u1", (1, 12, 12, 3), WEIGHTS, "c",
    ),
    "grey levels resized": (
        [node("Resize", "x - s", "g", mode="nearest"), cast("g", "f", "f4"), CONV],
        "u1", IMAGE, WEIGHTS | {"s": np.array([1, 1, 2, 2], np.float32)}, "c",
    ),
    "grey levels of 16 bits joined and cut": (
        [node("Concat", "x x", "j", axis=2), node("Slice", "j low high", "g"),
         cast("g", "f", "f4"), CONV],
        "u2", IMAGE, WEIGHTS | {"low": np.array([0, 0, 2, 1]), "high": np.array([1, 3, 19, 11])},
        "c",
    ),
    "grey levels limited": (
        [node("Clip", "x low high", "g"), cast("g", "f", "f4"), CONV],
        "u1", IMAGE, WEIGHTS | {"low": np.uint8(20), "high": np.uint8(70)}, "c",
    ),
    "grey levels made": (
        [REAL, CONV, node("Clip", "c low high", "d"), cast("d", "g", "u1"),
         node("Transpose", "g", "y", perm=[0, 2, 3, 1])],
        "u1", IMAGE, WEIGHTS | {"low": np.float32(0), "high": np.float32(250)}, "y",
    ),
    "labels": ([*BEST, cast("a", "y", "u1")], "u1", IMAGE, WEIGHTS, "y"),
    "labels in colour": (
        [*BEST, node("Gather", "p a", "y")], "u1", IMAGE,
        WEIGHTS | {"p": RNG.integers(0, 256, (6, 3)).astype(np.uint8)}, "y",
    ),
    "whole quotient": ([node("Div", "x three", "r"), *ROWS], "i8", (2, 9), TABLE | NUMBERS, "y"),
    "limited places": (
        [node("Add", "x one", "s"), node("Clip", "s three nine", "r"), *ROWS],
        "i8", (2, 9), TABLE | NUMBERS, "y",
    ),
    "places of 32 bits": (
        [node("Gather", "t x", "e"), node("MatMul", "e m", "y"), node("Reshape", "y line", "v"),
         cast("x", "i", "i4"), node("GatherElements", "v i", "z")],
        "i8", (18,), TABLE | {"line": np.array([-1])}, "z",
    ),
    "truth values": (
        [REAL, CONV, node("Greater", "c zero", "p"), node("Less", "c zero", "q"),
         node("Or", "p q", "r"), node("And", "p r", "s"), node("Not", "s", "n"),
         node("Where", "n zero c", "y")],
        "u1", IMAGE, WEIGHTS | {"zero": np.float32(0)}, "y",
    ),
    "a single mean": (
        [REAL, CONV, node("ReduceMean", "c", "y", keepdims=0)], "u1", IMAGE, WEIGHTS, "y",
    ),
}  # fmt: skip


def far(found, expected, are_labels):
    """The share of labels that differ, or the largest difference over the largest number."""
    assert found.shape == expected.shape
    if are_labels:
        return np.mean(found != expected)
    away = np.abs(found.astype(np.float64) - expected.astype(np.float64)).max()
    return away / np.abs(expected.astype(np.float64)).max()


@pytest.mark.parametrize("case", CASES)
def test_integers_of_the_network_stay_what_they_are(case, tmp_path):
    nodes, dtype, shape, constants, output = CASES[case]
    proto = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    graph = helper.make_graph(
        nodes,
        "integers",
        [helper.make_tensor_value_info("x", proto, shape)],
        [onnx.ValueInfoProto(name=output)],
        [numpy_helper.from_array(np.asarray(a), n) for n, a in constants.items()],
    )
    graph = onnx.shape_inference.infer_shapes(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    )
    path = tmp_path / "net.onnx"
    onnx.save(graph, str(path))
    x = {
        "x": np.random.default_rng(5)
        .integers(0, 100 if dtype[0] == "u" else 40, shape)
        .astype(dtype)
    }
    expected = np.asarray(session(path).run(None, x)[0])
    are_labels = any(n.op_type == "ArgMax" for n in nodes)

    plain = read(path)
    network = fused(plain)
    for each in (plain, network):
        found = Executor(each.graph, each.weight).run_all(x)[output]
        assert found.dtype == expected.dtype
        assert far(found, expected, are_labels) < 1e-6
    for codes, limit in (("u8", 0.05), ("u16", 0.03)):
        assigned = assign_network(network.graph, codes)
        calibration = Calibration()
        Executor(assigned, network.weight, calibration).run_all(x)
        arithmetic = Integer(calibration.qparams(assigned))
        found = Executor(assigned, network.weight, arithmetic).run_all(x)[output]
        assert found.dtype == expected.dtype
        assert far(found, expected, are_labels) < limit
