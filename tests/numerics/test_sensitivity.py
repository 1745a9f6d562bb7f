"""What rounding costs at the output: estimates against runs in which one tensor is rounded."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from axsim.graph.builder import GraphBuilder
from axsim.graph.ops import OPERATORS
from axsim.numerics import comparison as precision
from axsim.numerics.executor import Executor
from axsim.numerics.formats import assign_vision
from axsim.numerics.ranges import Calibration
from axsim.numerics.sensitivity import Sensitivity
from tests.numerics.models import vision


def projected(b, x, name, width=64):
    """Something whose result may be rounded."""
    weight = b.weight(f"{name}.weight", (width, b.shape(x)[-1]))
    return b.node("Gemm", [x, weight], name=name, transB=1)


def a_sum(b, x):
    small, large = projected(b, x, "small"), projected(b, x, "large")
    louder = b.node("Mul", [large, b.literal("three", 3.0)], name="louder")
    return b.node("Add", [small, louder], name="sum")


def a_stream(b, x):
    stream = projected(b, x, "stream")
    branch = projected(b, b.node("Gelu", [projected(b, stream, "in")], name="gelu"), "out")
    weaker = b.node("Mul", [branch, b.literal("tenth", 0.1)], name="weaker")
    return projected(b, b.node("Add", [stream, weaker], name="residual"), "head")


def a_cut(b, x):
    ends = ["left", "right"]
    whole = projected(b, b.node("Gelu", [projected(b, x, "in")], name="gelu"), "whole")
    left, _ = b.nodes("Split", [whole], name="split", outputs=ends, axis=1, num_outputs=2)
    return projected(b, left, "head")


def attention(b, x):
    q, k, v = (projected(b, x, name, 32) for name in ("query", "key", "value"))
    turned = b.node("Transpose", [k], name="turned", perm=(1, 0))
    products = b.node("MatMul", [q, turned], name="products")
    scores = b.node("Mul", [products, b.literal("scale", 0.002)], name="scores")
    return b.node("MatMul", [b.node("Softmax", [scores], name="softmax"), v], name="context")


def run(graph, weights, inputs, rounded=None, q=None, watch=None):
    """The output in float32, with one tensor rounded."""
    values = dict(inputs) | {name: make() for name, make in graph.values.items()}
    if rounded in values:
        values[rounded] = q.dequantise(q.quantise(values[rounded]))
    for node in graph.nodes:
        operands = [values[n] if n in values else weights(n) for n in node.inputs]
        results = OPERATORS[node.op].kernel(*operands, **node.attrs)
        values |= zip(node.outputs, results, strict=False)
        if rounded in node.outputs:
            values[rounded] = q.dequantise(q.quantise(values[rounded]))
    for name, value in values.items() if watch else ():
        watch(name, value)
    return values[graph.outputs[0]]


def losses(graph, weights, inputs):
    """Of each tensor that is rounded, the cosine that this costs: estimated, and measured."""
    calibration = Calibration()
    Executor(graph, weights, calibration).run_all(inputs)
    qparams = calibration.qparams(assign_vision(graph, "u8"))
    sensitivity = Sensitivity(graph, qparams)
    expected = run(graph, weights, inputs, watch=sensitivity.watch)
    estimated = sensitivity.losses()
    measured = {
        name: 1 - precision.cosine(expected, run(graph, weights, inputs, name, qparams[name]))
        for name in estimated
    }
    return estimated, measured


@pytest.mark.parametrize("build", [a_sum, a_stream, a_cut, attention])
def test_each_tensor_within_a_factor_of_two(build):
    b = GraphBuilder(build.__name__)
    graph = b.build([build(b, b.input("x", (48, 64)))])
    rng = np.random.default_rng(0)
    matrices = {t.name: rng.standard_normal(t.shape).astype(np.float32) for t in graph.weights()}
    inputs = {"x": rng.standard_normal((48, 64)).astype(np.float32)}
    estimated, measured = losses(graph, matrices.__getitem__, inputs)
    assert len(estimated) > 1
    for name, estimate in estimated.items():
        assert measured[name] / 2 < estimate < measured[name] * 2, name


def test_tensors_of_a_vision_part_are_ranked():
    graph, weights, image = vision()
    estimated, measured = losses(graph, weights, {"input": image})
    assert len(estimated) > 25
    pairs = np.array([(estimated[name], measured[name]) for name in estimated])
    ranks = pairs.argsort(axis=0).argsort(axis=0)
    assert np.corrcoef(ranks.T)[0, 1] > 0.9
    assert 0.5 < pairs[:, 0].sum() / pairs[:, 1].sum() < 2


def test_values_beyond_the_range_do_not_count():
    """More codes do not help against cutting off."""
    graph, weights, image = vision()
    calibration = Calibration()
    Executor(graph, weights, calibration).run_all({"input": image})
    qparams = calibration.qparams(assign_vision(graph, "u8"))
    name = "layers.0.mlp.fc1"
    narrow = replace(qparams[name], scale=qparams[name].scale / 4)
    found = {}
    for q in (qparams[name], narrow):
        sensitivity = Sensitivity(graph, qparams | {name: q})
        run(graph, weights, {"input": image}, watch=sensitivity.watch)
        found[q] = sensitivity.losses()[name]
    assert found[narrow] < found[qparams[name]]
