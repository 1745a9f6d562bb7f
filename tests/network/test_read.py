"""Reading ONNX files: shapes, folding, operator sets, where arrays lie, and what is refused."""

import os

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from axsim.errors import InputError
from axsim.network.network import Stored
from axsim.network.read import read
from axsim.numerics.executor import Executor
from axsim.numerics.formats import assign_network
from axsim.numerics.integer_graph import Integer
from axsim.numerics.ranges import Calibration
from tests.network.filled import error, model, session

RNG = np.random.default_rng(5)


def saved(tmp_path, *args, **kwargs):
    path = tmp_path / "net.onnx"
    onnx.save(model(*args, **kwargs), str(path))
    return path


def run(network, x):
    return Executor(network.graph, network.weight).run_all(x)


def refusal(path, *args, **kwargs):
    with pytest.raises(InputError) as error:
        read(path, *args, **kwargs)
    return str(error.value)


def shape_arithmetic():
    """Rows of a picture, by its own shape: what exporters write for x.reshape(x.shape[0], -1)."""
    return [
        helper.make_node("Shape", ["x"], ["s"]),
        helper.make_node("Gather", ["s", "zero"], ["n"]),
        helper.make_node("Unsqueeze", ["n", "axis"], ["n1"]),
        helper.make_node("Concat", ["n1", "minus"], ["target"], axis=0),
        helper.make_node("Reshape", ["x", "target"], ["rows"]),
        helper.make_node("Relu", ["rows"], ["y"]),
    ]


CONSTANTS = {"zero": np.int64(0), "axis": np.array([0]), "minus": np.array([-1])}


def test_dynamic_dimensions_are_named_and_given_and_their_arithmetic_is_folded(tmp_path):
    path = saved(tmp_path, shape_arithmetic(), [("x", ["n", 3, "h", 4])], [("y", None)], CONSTANTS)
    message = refusal(path)
    assert "input x: has dynamic dimensions (nx3xhx4); say --shape x=1x3x640x4" in message
    network = read(path, {"x": (2, 3, 5, 4)})
    assert [n.op for n in network.graph.nodes] == ["Reshape", "Relu"]
    assert network.graph.tensors["y"].shape == (2, 60)
    assert network.graph.nodes[0].attrs["shape"] == (2, -1)
    assert "has no input of that name; allowed: x" in refusal(path, {"X": (2, 3, 5, 4)})
    assert "declares nx3xhx4" in refusal(path, {"x": (2, 3)})


def test_contradictions_within_a_model_are_found(tmp_path):
    nodes = [helper.make_node("MatMul", ["x", "w"], ["y"])]
    path = saved(tmp_path, nodes, [("x", [2, 3])], [("y", None)], {"w": np.zeros((4, 5), "f4")})
    assert "is no valid model" in refusal(path)
    path.write_bytes(b"no protobuf at all")
    assert "is no ONNX model" in refusal(path)
    assert "cannot be read" in refusal(tmp_path / "missing.onnx")


@pytest.mark.parametrize("external", [False, True])
def test_large_arrays_stay_in_their_file_until_they_are_asked_for(tmp_path, external):
    w, small = RNG.standard_normal((64, 64), np.float32), RNG.standard_normal(64, np.float32)
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["p"]),
        helper.make_node("Add", ["p", "b"], ["y"]),
    ]
    ends = [("x", [3, 64])], [("y", [3, 64])]
    path = tmp_path / "net.onnx"
    proto = model(nodes, *ends, {"w": w, "b": small})
    onnx.save(proto, str(path), save_as_external_data=external, location="w.bin", size_threshold=0)
    network = read(path)
    source = network.sources["w"]
    assert isinstance(source, Stored)
    assert not source.read().flags.owndata  # mapped, not read
    assert np.array_equal(network.weight("w"), w)
    x = {"x": RNG.standard_normal((3, 64), np.float32)}
    np.testing.assert_allclose(run(network, x)["y"], x["x"] @ w + small, rtol=1e-5, atol=1e-5)
    if external:
        (tmp_path / "w.bin").write_bytes(b"short")
        with pytest.raises(InputError, match=r"w\.bin: w: cannot be read: the file is too short"):
            read(path).weight("w")


def test_external_data_outside_the_folder_are_not_read(tmp_path):
    (tmp_path / "inside").mkdir()
    path = tmp_path / "inside" / "net.onnx"
    nodes = [helper.make_node("Add", ["x", "w"], ["y"])]
    proto = model(nodes, [("x", [64, 64])], [("y", [64, 64])], {"w": np.zeros((64, 64), "f4")})
    onnx.save(proto, str(path), save_as_external_data=True, location="w.bin", size_threshold=0)
    stolen = path.read_bytes().replace(b"w.bin", b"../w2")
    (tmp_path / "w2").write_bytes((tmp_path / "inside" / "w.bin").read_bytes())
    path.write_bytes(stolen)
    with pytest.raises(InputError, match="lie outside"):
        read(path).weight("w")


# What is an attribute in one operator set and an input in another: (set, nodes, constants).
FORMS = {
    "Clip": [
        (9, [helper.make_node("Clip", ["x"], ["y"], min=-0.5, max=0.5)], {}),
        (13, [helper.make_node("Clip", ["x", "lo", "hi"], ["y"])],
         {"lo": np.float32(-0.5), "hi": np.float32(0.5)}),
    ],
    "Pad": [
        (9, [helper.make_node("Pad", ["x"], ["y"], pads=[0, 0, 1, 0, 0, 0, 0, 2], value=3.0)], {}),
        (18, [helper.make_node("Pad", ["x", "p", "v"], ["y"])],
         {"p": np.array([0, 0, 1, 0, 0, 0, 0, 2]), "v": np.float32(3.0)}),
    ],
    "Slice": [
        (9, [helper.make_node("Slice", ["x"], ["y"], starts=[1], ends=[3], axes=[2])], {}),
        (13, [helper.make_node("Slice", ["x", "a", "b", "c"], ["y"])],
         {"a": np.array([1]), "b": np.array([3]), "c": np.array([2])}),
    ],
    "ReduceMean": [
        (13, [helper.make_node("ReduceMean", ["x"], ["y"], axes=[2, 3], keepdims=0)], {}),
        (18, [helper.make_node("ReduceMean", ["x", "a"], ["y"], keepdims=0)],
         {"a": np.array([2, 3])}),
    ],
    "Squeeze": [
        (11, [helper.make_node("Unsqueeze", ["x"], ["u"], axes=[1]),
              helper.make_node("Squeeze", ["u"], ["s"], axes=[1]),
              helper.make_node("Relu", ["s"], ["y"])], {}),
        (13, [helper.make_node("Unsqueeze", ["x", "a"], ["u"]),
              helper.make_node("Squeeze", ["u", "a"], ["s"]),
              helper.make_node("Relu", ["s"], ["y"])], {"a": np.array([1])}),
    ],
    "Split": [
        (11, [helper.make_node("Split", ["x"], ["a", "y"], axis=1, split=[1, 3])], {}),
        (13, [helper.make_node("Split", ["x", "n"], ["a", "y"], axis=1)], {"n": np.array([1, 3])}),
    ],
    "Resize": [
        (9, [helper.make_node("Upsample", ["x", "s"], ["y"], mode="nearest")],
         {"s": np.array([1, 1, 2, 2], "f4")}),
        (10, [helper.make_node("Resize", ["x", "s"], ["y"], mode="linear")],
         {"s": np.array([1, 1, 2, 3], "f4")}),
        (13, [helper.make_node("Resize", ["x", "", "", "n"], ["y"], mode="linear")],
         {"n": np.array([2, 4, 9, 11])}),
    ],
    "TopK": [
        (9, [helper.make_node("TopK", ["x"], ["y", "i"], k=2)], {}),
        (11, [helper.make_node("TopK", ["x", "k"], ["y", "i"])], {"k": np.array([2])}),
    ],
    "Softmax": [
        (11, [helper.make_node("Softmax", ["x"], ["y"], axis=3)], {}),
        (13, [helper.make_node("Softmax", ["x"], ["y"])], {}),
    ],
    "GroupNormalization": [
        (21, [helper.make_node("GroupNormalization", ["x", "g", "b"], ["y"], num_groups=2)],
         {"g": np.arange(4, dtype="f4"), "b": np.ones(4, "f4")}),
    ],
}  # fmt: skip


@pytest.mark.parametrize(("op", "form"), [(op, i) for op in FORMS for i in range(len(FORMS[op]))])
def test_attributes_and_inputs_mean_the_same(tmp_path, op, form):
    pytest.importorskip("onnxruntime")
    opset, nodes, constants = FORMS[op][form]
    path = saved(tmp_path, nodes, [("x", [2, 4, 5, 6])], [("y", None)], constants, opset=opset)
    x = {"x": RNG.standard_normal((2, 4, 5, 6), np.float32)}
    (expected,) = session(path).run(["y"], x)
    found = run(read(path), x)["y"]
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_operator_sets_before_9_are_refused(tmp_path):
    nodes = [helper.make_node("Relu", ["x"], ["y"])]
    path = saved(tmp_path, nodes, [("x", [2])], [("y", [2])], opset=8)
    assert "is of ONNX operator set 8; allowed: 9 to 24" in refusal(path)


def test_one_error_lists_every_operator_that_is_refused_with_what_to_do(tmp_path):
    w = np.zeros((1, 16, 4), np.float32)
    nodes = [
        helper.make_node("Relu", ["x"], ["a"], name="fine"),
        helper.make_node("LSTM", ["a", "w", "r"], ["", "h"], name="memory", hidden_size=4),
        helper.make_node("NonZero", ["a"], ["i"], name="list"),
        helper.make_node("Det", ["h"], ["d"], name="first"),
        helper.make_node("Det", ["h"], ["e"], name="second"),
    ]
    constants = {"w": w, "r": np.zeros((1, 16, 4), np.float32)}
    path = saved(tmp_path, nodes, [("x", [4, 4, 4])], [("d", None), ("e", None)], constants)
    message = refusal(path)
    assert "LSTM: is recurrent" in message
    assert "(node memory)" in message
    assert "Det: is not supported; cut it off with --cut NAME" in message
    assert "(nodes first, second)" in message
    assert message.count("\n") == 1  # nothing needs the list of NonZero
    network = read(path, outputs=["a"])
    assert [n.name for n in network.graph.nodes] == ["fine"]
    assert "did you mean 'a'" in refusal(path, outputs=["aa"])


def test_control_flow_is_refused_by_name(tmp_path):
    branch = helper.make_graph(
        [helper.make_node("Relu", ["x"], ["z"])], "b", [],
        [helper.make_tensor_value_info("z", 1, [2])],
    )  # fmt: skip
    nodes = [
        helper.make_node("ReduceMax", ["x"], ["m"], keepdims=0),
        helper.make_node("Cast", ["m"], ["c"], to=9),
        helper.make_node("If", ["c"], ["y"], name="choice", then_branch=branch, else_branch=branch),
    ]
    path = saved(tmp_path, nodes, [("x", [2])], [("y", [2])])
    assert "If: runs a graph of its own" in refusal(path)
    assert "(node choice)" in refusal(path)


def test_an_operator_of_two_inputs_has_two(tmp_path):
    gate = [helper.make_node("Sigmoid", ["x"], ["g"]), helper.make_node("Relu", ["m"], ["y"])]
    node = helper.make_node("Mul", ["x", ""], ["m"], name="lone")
    path = saved(tmp_path, [gate[0], node, gate[1]], [("x", [1, 4])], [("y", [1, 4])])
    assert "(node lone)" in refusal(path)


PICTURE = ("x", (1, 3, 8, 8))


@pytest.mark.parametrize(
    ("op", "inputs", "attrs", "constants", "message"),
    [
        ("Clip", "x", {"min": "a"}, {}, "min of node Clip:y is STRING; allowed: FLOAT"),
        ("Pad", "x p", {"mode": "zz"}, {"p": np.zeros(8, int)}, "is 'zz'; allowed: constant, refl"),
        ("MaxPool", "x", {"kernel_shape": [2, 2], "auto_pad": "SAME"}, {}, "allowed: NOTSET, SAME"),
        ("LRN", "x", {"size": 0}, {}, "a sum over 0 channels"),
        ("Gather", "x i", {"axis": 1}, {"i": np.array([0, 3])}, "index 3 is not among 3 elements"),
        ("Gather", "x i", {"axis": -1}, {"i": np.array(-9)}, "index -9 is not among 8 elements"),
        ("GatherND", "x i", {}, {"i": np.array([[0, 5]])}, "index 5 is not among 1 x 3 elements"),
        ("ScatterND", "x i u", {}, {"i": np.array([[0, 1]]), "u": np.zeros((1, 3), np.float32)},
         "updates (1, 3) for places (1, 8, 8)"),
    ],
)  # fmt: skip
def test_what_an_operator_cannot_be_asked_for_is_refused_as_it_is_read(
    op, inputs, attrs, constants, message, tmp_path
):
    opset = 9 if op == "Clip" else 17
    node = helper.make_node(op, inputs.split(), ["y"], **attrs)
    path = saved(tmp_path, [node], [PICTURE], [("y", None)], constants, opset)
    assert message in refusal(path)


def test_a_range_without_end_takes_no_memory(tmp_path):
    nodes = [
        helper.make_node("Range", ["zero", "end", "step"], ["r"]),
        helper.make_node("Cast", ["r"], ["f"], to=1),
        helper.make_node("ReduceSum", ["f"], ["s"]),
        helper.make_node("Add", ["x", "s"], ["y"]),
    ]
    numbers = {"zero": np.int64(0), "end": np.int64(1 << 40), "step": np.int64(1)}
    path = saved(tmp_path, nodes, [PICTURE], [("y", None)], numbers)
    assert "Range: makes a constant of 1,099,511,627,776 numbers" in refusal(path)
    path = saved(tmp_path, nodes, [PICTURE], [("y", None)], numbers | {"step": np.int64(0)})
    assert "a range in steps of 0" in refusal(path)


def test_functions_in_a_circle_and_sparse_arrays_are_named(tmp_path):
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("own", 1)]
    call = helper.make_node("F", ["x"], ["y"], domain="own")
    made = model([call], [PICTURE], [("y", None)])
    made.opset_import.append(opsets[1])
    inner = helper.make_graph([call], "then", [], [helper.make_tensor_value_info("y", 1, None)])
    twice = helper.make_node("If", ["x"], ["y"], then_branch=inner, else_branch=inner)
    made.functions.append(helper.make_function("own", "G", ["x"], ["y"], [twice], opsets))
    other = helper.make_node("G", ["x"], ["y"], domain="own")
    made.functions.append(helper.make_function("own", "F", ["x"], ["y"], [other], opsets))
    path = tmp_path / "circle.onnx"
    path.write_bytes(made.SerializeToString())
    assert "is no valid model: functions call each other in a circle: " in refusal(path)

    add = helper.make_node("Add", ["x", "k"], ["y"])
    made = model([add], [PICTURE], [("y", None)])
    values = numpy_helper.from_array(np.ones(1, np.float32), "k")
    places = numpy_helper.from_array(np.zeros(1, np.int64))
    made.graph.sparse_initializer.append(helper.make_sparse_tensor(values, places, [3, 8, 8]))
    path.write_bytes(made.SerializeToString())
    assert refusal(path).count("is no valid model") == 1
    assert "'k' is sparse" in refusal(path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names")
def test_a_pipe_is_no_file_of_arrays_and_is_not_waited_for(tmp_path):
    conv = helper.make_node("Conv", ["x", "w"], ["y"])
    made = model([conv], [PICTURE], [("y", None)], {"w": np.ones((2, 3, 1, 1), "f4")})
    tensor = made.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = tensor.EXTERNAL
    tensor.external_data.add(key="location", value="pipe")
    os.mkfifo(tmp_path / "pipe")
    path = tmp_path / "net.onnx"
    path.write_bytes(made.SerializeToString())
    network = read(path)
    with pytest.raises(InputError, match="pipe: w: cannot be read: it is no file"):
        network.weight("w")


def test_an_index_beyond_a_table_is_told_as_it_is_read(tmp_path):
    gather = helper.make_node("Gather", ["t", "i"], ["y"], name="rows")
    made = model([gather], [("i", (4,))], [("y", None)], {"t": np.ones((2, 8), np.float32)})
    made.graph.input[0].type.tensor_type.elem_type = onnx.TensorProto.INT64
    path = tmp_path / "net.onnx"
    onnx.save(made, str(path))
    network = read(path)
    with pytest.raises(InputError, match="net: rows reads beyond a tensor with these inputs"):
        run(network, {"i": np.array([0, 1, 2, 0])})


def test_an_input_that_is_an_output_too_is_quantised_as_inputs_are(tmp_path):
    conv = helper.make_node("Conv", ["x", "w"], ["y"])
    weights = {"w": RNG.standard_normal((2, 3, 3, 3)).astype(np.float32)}
    network = read(saved(tmp_path, [conv], [PICTURE], [("y", None), PICTURE], weights))
    x = {"x": RNG.standard_normal(PICTURE[1]).astype(np.float32)}
    assigned, calibration = assign_network(network.graph, "u16"), Calibration()
    expected = Executor(assigned, network.weight, calibration).run_all(x)
    integers = Integer(calibration.qparams(assigned))
    found = Executor(assigned, network.weight, integers).run_all(x)
    assert list(found) == ["y", "x"]
    for name in found:
        assert error(found[name], expected[name]) < 0.02
