import numpy as np
import pytest

from axsim.errors import InputError
from axsim.graph.builder import GraphBuilder
from axsim.graph.ir import Graph, Node, Tensor
from axsim.kernels.choose import choose
from axsim.kernels.products import NumpyProducts
from axsim.kernels.qparams import QParams, asymmetric
from axsim.numerics import integer_kernels as kernels
from axsim.numerics.executor import Executor
from axsim.numerics.formats import assign_network, assign_vision
from axsim.numerics.integer_graph import Integer, IntegerWeights
from axsim.numerics.ranges import Calibration
from tests.numerics.models import cosine, vision


@pytest.fixture(scope="module")
def calibrated():
    graph, weights, image = vision()
    calibration = Calibration()
    reference = Executor(graph, weights, calibration).run_all({"input": image})["output"]
    return calibration, reference


def run(calibration, dtype, *, backend=None, overrides=None, keep=()):
    graph, weights, image = vision()
    graph = assign_vision(graph, dtype, overrides)
    arithmetic = Integer(calibration.qparams(graph), IntegerWeights(backend))
    executor = Executor(graph, weights, arithmetic, keep=keep)
    output = executor.run_all({"input": image})["output"]
    return output, executor


def test_calibration_is_the_float32_run(calibrated):
    graph, weights, image = vision()
    expected = Executor(graph, weights).run_all({"input": image})["output"]
    assert np.allclose(calibrated[1], expected, rtol=1e-4, atol=1e-5)


def test_extremes_found_in_cached_blocks_are_those_of_the_whole_tensors(calibrated):
    graph, weights, image = vision()
    names = [f"layers.{i}.attn.{t}" for i in range(2) for t in ("scores", "softmax")]
    whole = Calibration()
    Executor(graph, weights, whole, keep=names).run_all({"input": image})
    for name in names:
        low, high = whole.observers[name].range("u8")
        found = calibrated[0].observers[name].range("u8")
        if name.endswith("softmax"):
            low = 0
        assert found == pytest.approx((low, high), rel=1e-4)


def test_u16_is_nearer_to_float32_than_u8(calibrated):
    calibration, reference = calibrated
    u8, u16 = (cosine(run(calibration, d)[0], reference) for d in ("u8", "u16"))
    assert u8 > 0.98
    assert u16 > 0.9999
    assert u16 > u8


@pytest.mark.parametrize("dtype", ["u8", "u16"])
def test_backends_agree_to_the_last_bit(calibrated, dtype):
    plain = run(calibrated[0], dtype, backend=NumpyProducts())[0]
    assert np.array_equal(run(calibrated[0], dtype, backend=choose())[0], plain)


@pytest.mark.parametrize("dtype", ["u8", "u16"])
def test_blocked_attention_equals_its_operators_one_by_one(calibrated, dtype):
    inner = [f"layers.{i}.attn.{t}" for i in range(2) for t in ("scores", "softmax")]
    blocked = run(calibrated[0], dtype)[0]
    apart, executor = run(calibrated[0], dtype, keep=inner)
    assert np.array_equal(blocked, apart)
    rows = executor.fetch("layers.0.attn.softmax").sum(axis=-1)
    assert np.allclose(rows, 1, atol=0.1 if dtype == "u8" else 1e-3)


def test_mixed_precision_lies_between(calibrated):
    calibration, reference = calibrated
    all8, mixed, all16 = (
        cosine(run(calibration, d, overrides=o)[0], reference)
        for d, o in (("u8", None), ("u8", {"layers.1.*": "u16", "mlp1.*": "u16"}), ("u16", None))
    )
    assert all8 < mixed < all16


def test_a_projection_follows_the_definition(calibrated):
    names = ["layers.0.norm1", "layers.0.attn.qkv"]
    _, executor = run(calibrated[0], "u8", keep=names)
    graph, weights, _ = vision()
    x, y = (calibrated[0].qparams(assign_vision(graph, "u8"))[n] for n in names)
    a, found = (q.quantise(executor.fetch(n)) for n, q in zip(names, (x, y), strict=True))
    w = weights("vision_model.encoder.layers.0.attn.qkv.weight")
    bias = weights("vision_model.encoder.layers.0.attn.qkv.bias")
    scale = (np.abs(w).max(axis=1) / np.float32(127)).astype(np.float32)
    codes = np.rint(w / scale[:, None]).astype(np.int64)
    unit = np.float32(x.scale) * scale
    acc = (a.astype(np.int64) - x.zero_point) @ codes.T
    acc = acc + np.rint(bias.astype(np.float64) / unit).astype(np.int64)
    steps = np.rint(acc.astype(np.float32) * (unit / np.float32(y.scale)))
    expected = np.clip(steps + y.zero_point, 0, 255)
    assert np.array_equal(found, expected)


def test_activations_without_parameters_are_named(calibrated):
    graph, weights, _ = vision()
    graph = assign_vision(graph, "u8")
    qparams = calibrated[0].qparams(graph)
    del qparams["layers.1.norm2"]
    with pytest.raises(ValueError, match=r"layers\.1\.norm2"):
        Executor(graph, weights, Integer(qparams))
    with pytest.raises(ValueError, match="never observed"):
        Calibration().qparams(graph)


def test_layout_and_scaling_keep_codes(calibrated):
    graph, _, _ = vision()
    q = calibrated[0].qparams(assign_vision(graph, "u8"))
    assert q["layers.0.attn.k_heads"] == q["layers.0.attn.qkv"]
    assert q["layers.0.attn.scale"].scale == q["layers.0.attn.qkv"].scale / 4
    assert q["layers.0.attn.scale"].zero_point == q["layers.0.attn.qkv"].zero_point


@pytest.mark.parametrize("dtype", ["u8", "u16"])
def test_a_table_is_the_kernel_on_dequantised_codes(dtype):
    x, y = asymmetric(-3, 4, dtype), asymmetric(-0.2, 4, dtype)
    codes = np.random.default_rng(0).integers(0, x.high + 1, (300, 500)).astype(x.numpy)
    expected = y.quantise(np.tanh(x.dequantise(codes)))
    found = kernels.look_up(kernels.table(np.tanh, x, y), codes)
    assert np.array_equal(found, expected)


@pytest.mark.parametrize("dtype", ["u8", "u16"])
def test_softmax_is_within_one_code_of_exact(dtype):
    x, y = asymmetric(-20, 12, dtype), asymmetric(0, 0.7, dtype)
    codes = np.random.default_rng(1).integers(0, x.high + 1, (40, 130)).astype(x.numpy)
    values = x.dequantise(codes).astype(np.float64)
    e = np.exp(values - values.max(axis=1, keepdims=True))
    exact = np.clip(e / e.sum(axis=1, keepdims=True) / y.scale, 0, y.high)
    found = kernels.softmax(codes, x, y)
    assert np.abs(found - exact).max() <= 0.51 + 1e-6 * y.high


def test_far_scores_have_no_probability_and_no_influence():
    x, y = asymmetric(-2000, 0, "u8"), asymmetric(0, 1, "u8")
    codes = np.array([[255, 254, 0, 0], [9, 9, 0, 3]], np.uint8)
    near = np.exp(-np.float64(x.scale))
    first = np.rint(np.array([1, near, 0, 0]) / (1 + near) / y.scale)
    second = np.rint(np.array([0.5, 0.5, 0, 0]) / y.scale)
    assert kernels.softmax(codes, x, y).tolist() == [first.tolist(), second.tolist()]


def test_operators_that_integers_cannot_serve_are_named():
    tensors = [
        Tensor("x", (4, 8), "u8", "input"),
        Tensor("w", (8, 3), "s8", "weight"),
        Tensor("y", (4, 3), "u8"),
    ]
    node = Node("untransposed", "Gemm", ("x", "w"), ("y",), {})
    graph = Graph("g", {t.name: t for t in tensors}, (node,), ("x",), ("y",))
    q = QParams(0.1, 3)
    with pytest.raises(ValueError, match="untransposed has transB"):
        Executor(graph, lambda name: np.zeros((8, 3)), Integer({"x": q, "y": q}))


SUMS = {
    "few positions": ((32, 7, 7), (40, 32, 1, 1), {}),
    "many positions": ((16, 40, 33), (48, 16, 1, 1), {}),
    "squares": ((32, 20, 20), (32, 32, 3, 3), {"pads": (1, 1, 1, 1)}),
    "groups": ((12, 9, 9), (18, 6, 3, 3), {"pads": (1, 1, 1, 1), "group": 2}),
    "depthwise": ((24, 9, 9), (24, 1, 3, 3), {"pads": (1, 1, 1, 1), "group": 24}),
}


@pytest.mark.parametrize("threads", ["1", "2", "5"])
@pytest.mark.parametrize("backend", [None, NumpyProducts])
@pytest.mark.parametrize("dtype", ["u8", "u16"])
@pytest.mark.parametrize("name", SUMS)
def test_a_sum_behind_a_convolution_is_that_of_the_two_apart(
    name, dtype, backend, threads, monkeypatch
):
    monkeypatch.setenv("AXSIM_THREADS", threads)
    image, weight, attrs = SUMS[name]
    rng = np.random.default_rng(5)
    b = GraphBuilder("sum")
    x = b.input("x", (2, *image))
    other = b.input("other", (2, weight[0], *image[1:]))
    w, bias = b.weight("w", weight), b.weight("b", weight[:1])
    c = b.node("Conv", [x, w, bias], name="c", **attrs)
    s = b.node("Add", [other, c], name="s")
    b.node("Relu", [s], name="r", output="y")
    graph = assign_network(b.build(["y"]), dtype)
    values = {"w": rng.standard_normal(weight), "b": rng.standard_normal(weight[0])}
    values = {key: value.astype(np.float32) for key, value in values.items()}
    given = {key: rng.standard_normal(graph.tensors[key].shape, np.float32) for key in graph.inputs}
    calibration = Calibration()
    Executor(graph, values.__getitem__, calibration).run_all(given)
    weights = IntegerWeights(backend and backend())
    found = []
    for keep in ((), (c,)):
        arithmetic = Integer(calibration.qparams(graph), weights)
        executor = Executor(graph, values.__getitem__, arithmetic, keep=keep)
        for _ in range(2):
            found.append(executor.run_all(given)["y"])
        assert (arithmetic.steps(graph, keep)["c"] is None) == (not keep)
    for each in found[1:]:
        assert np.array_equal(found[0], each)
    assert found[0].std() > 0.1


def test_convolutions_of_volumes_are_refused_with_what_else_there_is():
    tensors = [
        Tensor("x", (1, 3, 4, 4, 4), "u8", "input"),
        Tensor("w", (2, 3, 3, 3, 3), "s8", "weight"),
        Tensor("y", (1, 2, 2, 2, 2), "u8"),
    ]
    node = Node("volumes", "Conv", ("x", "w"), ("y",), {})
    graph = Graph("g", {t.name: t for t in tensors}, (node,), ("x",), ("y",))
    q = QParams(0.1, 3)
    with pytest.raises(InputError, match=r"over 3 dimensions.*vision_dtype=bf16"):
        Executor(graph, lambda name: np.zeros((2, 3, 3, 3, 3)), Integer({"x": q, "y": q}))
