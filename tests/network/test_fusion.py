"""Fusions: what becomes of each pattern, and that results stay the same."""

import numpy as np
import onnx
import pytest
from onnx import helper

from axsim.network.fusion import fused
from axsim.network.read import read
from axsim.numerics.executor import Executor
from tests.network.filled import model

RNG = np.random.default_rng(3)


def node(op, inputs, outputs, **attrs):
    return helper.make_node(op, inputs.split(), outputs.split(), **attrs)


def array(*shape):
    return RNG.standard_normal(shape).astype(np.float32)


def scalar(value):
    return np.float32(value)


CONV = node("Conv", "x w b", "c", pads=[1, 1, 1, 1])
WEIGHTS = {"w": array(6, 4, 3, 3), "b": array(6)}
NORM = {"g": array(6), "h": array(6), "m": array(6), "v": np.abs(array(6)) + 0.5}
IMAGE = (1, 4, 5, 6)
ROWS = (2, 5, 8)
HALF, ONE, ROOT = {"half": scalar(0.5)}, {"one": scalar(1)}, {"root": scalar(2**0.5)}

CASES = {
    "norm into convolution": (
        [CONV, node("BatchNormalization", "c g h m v", "y", epsilon=1e-3)],
        IMAGE, WEIGHTS | NORM, ["Conv"],
    ),
    "norm into convolution of groups without bias": (
        [node("Conv", "x w", "c", group=2), node("BatchNormalization", "c g h m v", "y")],
        IMAGE, {"w": array(6, 2, 1, 1)} | NORM, ["Conv"],
    ),
    "norm into transposed convolution of groups": (
        [node("ConvTranspose", "x w", "c", group=2, strides=[2, 2]),
         node("BatchNormalization", "c g h m v", "y")],
        IMAGE, {"w": array(4, 3, 2, 2)} | NORM, ["ConvTranspose"],
    ),
    "constants into convolution": (
        [CONV, node("Mul", "c s", "d"), node("Sub", "t d", "e"), node("Div", "e u", "f"),
         node("Add", "f one", "y")],
        IMAGE, WEIGHTS | ONE | {"s": array(6, 1, 1), "t": array(1, 6, 1, 1), "u": array(6, 1, 1)},
        ["Conv"],
    ),
    "a sum that is read twice stays": (
        [CONV, node("Add", "c s", "d"), node("Mul", "c d", "y")],
        IMAGE, WEIGHTS | {"s": array(6, 1, 1)}, ["Conv", "Add", "Mul"],
    ),
    "a row of pixels is no constant of channels": (
        [CONV, node("Add", "c s", "y")], IMAGE, WEIGHTS | {"s": array(6)}, ["Conv", "Add"],
    ),
    "swish": (
        [node("Sigmoid", "x", "s"), node("Mul", "x s", "y")], IMAGE, {}, ["Swish"],
    ),
    "swish of a scaled gate": (
        [node("Mul", "x a", "d"), node("Sigmoid", "d", "s"), node("Mul", "s x", "y")],
        IMAGE, {"a": scalar(1.702)}, ["Swish"],
    ),
    "a gate of another tensor is no swish": (
        [node("Relu", "x", "r"), node("Sigmoid", "r", "s"), node("Mul", "x s", "y")],
        IMAGE, {}, ["Relu", "Sigmoid", "Mul"],
    ),
    "hard swish": (
        [node("HardSigmoid", "x", "s", alpha=1 / 6, beta=0.5), node("Mul", "x s", "y")],
        IMAGE, {}, ["HardSwish"],
    ),
    "hard swish written out": (
        [node("Add", "x three", "a"), node("Clip", "a zero six", "c"), node("Mul", "x c", "p"),
         node("Div", "p six", "y")],
        IMAGE, {"three": scalar(3), "zero": scalar(0), "six": scalar(6)}, ["HardSwish"],
    ),
    "mish": (
        [node("Softplus", "x", "p"), node("Tanh", "p", "t"), node("Mul", "x t", "y")],
        IMAGE, {}, ["Mish"],
    ),
    "gelu": (
        [node("Div", "x root", "d"), node("Erf", "d", "e"), node("Add", "e one", "a"),
         node("Mul", "x a", "p"), node("Mul", "p half", "y")],
        ROWS, HALF | ONE | ROOT, ["Gelu"],
    ),
    "gelu halved first": (
        [node("Div", "x root", "d"), node("Erf", "d", "e"), node("Add", "e one", "a"),
         node("Mul", "x half", "h"), node("Mul", "h a", "y")],
        ROWS, HALF | ONE | ROOT, ["Gelu"],
    ),
    "layer norm": (
        [node("ReduceMean", "x", "m", axes=[-1]), node("Sub", "x m", "d"),
         node("Pow", "d two", "q"), node("ReduceMean", "q", "v", axes=[-1]),
         node("Add", "v eps", "e"), node("Sqrt", "e", "r"), node("Div", "d r", "n"),
         node("Mul", "n g", "s"), node("Add", "s h", "y")],
        ROWS, {"two": scalar(2), "eps": scalar(1e-3), "g": array(8), "h": array(8)},
        ["LayerNormalization"],
    ),
    "projection with bias": (
        [node("MatMul", "x w", "p"), node("Add", "b p", "y")],
        ROWS, {"w": array(8, 3), "b": array(3)}, ["Reshape", "Gemm", "Reshape"],
    ),
    "vector by matrix": (
        [node("MatMul", "v x", "y")], ROWS, {"v": array(5)}, ["MatMul", "Reshape"],
    ),
    "matrix by vector": (
        [node("MatMul", "x v", "y")], ROWS, {"v": array(8)},
        ["Reshape", "Gemm", "Reshape", "Reshape"],
    ),
    "vector by vector": (
        [node("MatMul", "x v", "y")], (8,), {"v": array(8)}, ["Reshape", "Gemm", "Reshape"],
    ),
    "gemm with factors": (
        [node("Flatten", "x", "f"), node("Gemm", "f w b", "y", alpha=0.5, beta=2.0)],
        ROWS, {"w": array(40, 3), "b": array(3)}, ["Flatten", "Gemm"],
    ),
    "gemm of columns": (
        [node("Flatten", "x", "f"), node("Gemm", "f w", "y", transA=1)],
        ROWS, {"w": array(2, 3)}, ["Flatten", "Transpose", "Gemm"],
    ),
    "gemm added to what is computed": (
        [node("Flatten", "x", "f"), node("Tanh", "f", "t"),
         node("Gemm", "f w t", "y", alpha=0.5, beta=2.0)],
        ROWS, {"w": array(40, 40)}, ["Flatten", "Tanh", "Mul", "Gemm", "Add"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_a_pattern_becomes_its_operator_with_the_same_results(case, tmp_path):
    nodes, shape, constants, ops = CASES[case]
    path = tmp_path / "net.onnx"
    onnx.save(model(nodes, [("x", shape)], [("y", None)], constants), str(path))
    plain = read(path)
    network = fused(plain)
    assert [n.op for n in network.graph.nodes] == ops
    x = {"x": 2 * array(*shape)}
    expected, found = (Executor(n.graph, n.weight).run_all(x)["y"] for n in (plain, network))
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5 * np.abs(expected).max())
