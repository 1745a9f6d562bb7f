"""Values of a network's file that are no numbers, or infinite."""

from __future__ import annotations

import numpy as np
import pytest

from axsim.errors import InputError
from axsim.network.read import read
from axsim.network.sound_values import check_values
from tests.cli import command as cli

onnx = pytest.importorskip("onnx")


def written(folder, nodes, **weights):
    """A file of ``nodes``, (operator, inputs, output), from x to y, both [1, 2, 8, 8]."""
    ends = [onnx.helper.make_tensor_value_info(name, 1, [1, 2, 8, 8]) for name in "xy"]
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node(op, inputs.split(","), [output]) for op, inputs, output in nodes],
        "net",
        ends[:1],
        ends[1:],
        [onnx.numpy_helper.from_array(np.float32(v), k) for k, v in weights.items()],
    )
    version = onnx.helper.make_opsetid("", 17)
    path = folder / "net.onnx"
    onnx.save(onnx.helper.make_model(graph, opset_imports=[version], ir_version=8), str(path))
    return path


def spoilt(shape, **places):
    """Ones but for a few values."""
    array = np.ones(shape, np.float32)
    for value, indices in places.items():
        array.flat[indices] = float(value)
    return array


def told(path, quantised=True) -> str:
    with pytest.raises(InputError) as found:
        check_values(read(path), "net.onnx", quantised)
    return str(found.value)


MATMUL = ("MatMul", "x,w", "h")
ROOT = np.eye(8)
MASK = np.triu(np.full((8, 8), -np.inf), 1)


def test_each_weight_is_named_with_its_counts(tmp_path) -> None:
    nodes = [MATMUL, ("Mul", "h,k", "s"), ("MatMul", "s,v", "y")]
    wrong = spoilt((8, 8), nan=[0, 7], inf=[3])
    path = written(tmp_path, nodes, w=wrong, k=np.nan, v=spoilt((8, 8), inf=[1]))
    for quantised in (True, False):
        assert sorted(told(path, quantised).splitlines()) == [
            "net.onnx: weight k holds 1 NaN among its 1 values",
            "net.onnx: weight v holds 1 Inf among its 64 values",
            "net.onnx: weight w holds 2 NaN and 1 Inf among its 64 values",
        ]


def test_what_is_made_of_a_weight_blames_the_weight(tmp_path) -> None:
    nodes = [("Neg", "w", "minus"), ("MatMul", "x,minus", "y")]
    path = written(tmp_path, nodes, w=spoilt((8, 8), nan=[5]))
    assert told(path) == "net.onnx: weight w holds 1 NaN among its 64 values"


@pytest.mark.parametrize(
    ("node", "value"),
    [
        (("Max", "h,k", "s"), np.full(8, -np.inf)),
        (("Min", "h,k", "s"), np.inf),
        (("Clip", "h,,k", "s"), np.inf),
        (("Mul", "h,k", "s"), 2.0),
    ],
)
def test_an_infinite_limit_is_one(tmp_path, node, value) -> None:
    path = written(tmp_path, [MATMUL, node, ("Softmax", "s", "y")], w=ROOT, k=value)
    check_values(read(path), "net.onnx", quantised=True)
    cli.axsim("precision", path)


def test_an_infinite_mask_is_one_where_sums_are_no_codes(tmp_path) -> None:
    nodes = [MATMUL, ("Add", "h,mask", "s"), ("Softmax", "s", "y")]
    path = written(tmp_path, nodes, w=ROOT, mask=MASK)
    check_values(read(path), "net.onnx", quantised=False)
    assert told(path) == "net.onnx: weight mask holds 28 Inf among its 64 values"


@pytest.mark.parametrize("dtype", ["u8", "u16", "bf16"])
def test_every_command_that_computes_says_so(tmp_path, dtype) -> None:
    path = written(tmp_path, [("MatMul", "x,w", "y")], w=spoilt((8, 8), nan=[5]))
    key = "--set", f"build.vision_dtype={dtype}"
    for command in (("run", "--chip", "ax630c"), ("precision",)):
        name, *rest = command
        found = cli.axsim(name, path, *rest, *key, code=2).stderr
        assert "net.onnx: weight w holds 1 NaN among its 64 values" in found
    asked = "build", path, "--chip", "ax630c", "-o", tmp_path / "out", *key
    assert "weight w holds 1 NaN" in cli.axsim(*asked, code=2).stderr
    cli.axsim("run", path, "--chip", "ax630c", "--timing-only", *key)
