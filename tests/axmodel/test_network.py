"""Networks in a file: the same graph, weights and numbers come out as went in."""

from __future__ import annotations

import io
import zipfile

import numpy as np
import onnxruntime
import pytest

from axsim.axmodel.model import Model
from axsim.axmodel.samples import read_samples
from axsim.compiler.partition import Deployment
from axsim.errors import InputError
from axsim.numerics.comparison import cosine
from axsim.spec.chip import load_chip
from axsim.spec.workload import load_workload
from tests.axengine.networks import Maker, yolo
from tests.axmodel.test_archive import changed
from tests.cli.command import axsim


def network(folder):
    """Convolutions in groups, transposed and not, a scalar, attention, two outputs, integers."""
    m = Maker(8)
    x = m.node("Conv", "image", m.weight(8, 2, 3, 3), group=4, pads=[1] * 4, kernel_shape=[3, 3])
    x = m.node("Relu", x)
    x = m.node("Conv", x, m.weight(8, 1, 3, 3), group=8, pads=[1] * 4, kernel_shape=[3, 3])
    up = m.node("ConvTranspose", x, m.weight(8, 4, 2, 2), strides=[2, 2], kernel_shape=[2, 2])
    rows = m.node("Reshape", up, m.integers(1, 4, 64))
    root = m.node("Constant", value_float=0.125)
    s = m.node("Mul", m.node("MatMul", rows, m.node("Transpose", rows, perm=[0, 2, 1])), root)
    s = m.node("MatMul", m.node("Softmax", s, axis=-1), rows, output="context")
    m.node("ArgMax", s, output="place", axis=2, keepdims=0)
    outputs = {"context": ("f", [1, 4, 64]), "place": ("i", [1, 4])}
    return m.save(folder / "mixed.onnx", {"image": ("f", [1, 8, 4, 4])}, outputs)


@pytest.mark.parametrize("dtype", ["u8", "u16", "bf16"])
def test_numbers_are_those_of_the_network(tmp_path, dtype):
    path = network(tmp_path)
    picture = np.random.default_rng(2).normal(size=(1, 8, 4, 4)).astype(np.float32)
    np.savez(tmp_path / "samples", image=picture)
    keys = "--samples", tmp_path / "samples.npz", "--set", f"build.vision_dtype={dtype}"
    axsim("build", path, "--chip", "ax650n", "-o", tmp_path, "--no-check", *keys)
    model = Model(tmp_path / "mixed.axmodel", load_chip("ax650n"))
    told = [(each.name, each.dtype) for each in (*model.inputs(0), *model.outputs(0))]
    assert told == [("image", np.float32), ("context", np.float32), ("place", np.int32)]
    found = model.run(0, {"image": picture})
    context, place = onnxruntime.InferenceSession(path).run(None, {"image": picture})
    assert cosine(context, found["context"]) > {"u8": 0.995, "u16": 0.9999, "bf16": 0.9999}[dtype]
    if dtype != "u8":
        assert np.array_equal(found["place"], place)
    asked = load_workload(path, {"build.vision_dtype": dtype})
    graph = Deployment(asked, load_chip("ax650n")).graph
    read = model.subgraph(0)
    assert (read.graph.nodes, read.graph.tensors) == (graph.graph.nodes, graph.graph.tensors)
    assert read.program.weight_bytes == graph.program.weight_bytes
    for name, make in graph.graph.values.items():
        assert np.array_equal(read.graph.values[name](), make())
        assert np.shape(read.graph.values[name]()) == np.shape(make())


def _graph(change):
    return lambda document: change(document["graph"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_graph(lambda g: g["nodes"].pop(0)), "which nobody makes before"),
        (_graph(lambda g: g["nodes"][0].update(op="Convolve")), "unknown operator"),
        (_graph(lambda g: g["nodes"][0]["attrs"].update(pads=[9] * 4)), "makes other shapes"),
        (_graph(lambda g: g["nodes"][0]["inputs"].append(g["nodes"][0]["inputs"][1])), "a bias ("),
        (_graph(lambda g: g["inputs"].clear()), "takes 'image', which nobody makes before"),
        (_graph(lambda g: g["tensors"].pop("image")), "no tensor 'image'"),
        (_graph(lambda g: g.update(outputs=[])), "it has no outputs"),
        (_graph(lambda g: g["nodes"][0].update(inputs=[])), "has a graph that cannot be read"),
        (_graph(lambda g: g.update(outputs=["nothing"])), "no tensor 'nothing'"),
        (lambda d: d["qparams"].clear(), "no quantisation parameters"),
        (lambda d: d["qparams"].pop("image"), "cannot be executed"),
    ],
)
def test_a_graph_that_is_wrong_is_told_at_once(tmp_path, change, message):
    axsim("build", network(tmp_path), "--chip", "ax650n", "-o", tmp_path, "--no-check")
    path = changed(tmp_path / "mixed.axmodel", tmp_path / "changed", manifest=change)
    with pytest.raises(InputError) as caught:
        Model(path, load_chip("ax650n"))
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"picture": np.zeros((1, 8, 4, 4))}, "takes image [1, 8, 4, 4], the samples have nothing"),
        ({"image": np.zeros((1, 8, 4, 5))}, "the samples have [1, 8, 4, 5]"),
        ({"image": np.zeros((1, 8, 4, 4)), "imag": np.zeros((1, 8))}, "did you mean 'image'"),
        ({"image": np.full((1, 8, 4, 4), "a")}, "image holds <U1; allowed: floating-point"),
        ({"image": np.zeros((0, 8, 4, 4))}, "as many samples each, at least one"),
        ({"image": np.array([{}], object)}, "it is no .npz of plain arrays"),
    ],
)
def test_samples_that_do_not_fit(tmp_path, arrays, message):
    path = network(tmp_path)
    np.savez(tmp_path / "samples", **arrays)
    asked = "build", path, "--chip", "ax650n", "-o", tmp_path, "--samples", tmp_path / "samples.npz"
    assert message in axsim(*asked, code=2).stderr
    assert not list(tmp_path.glob("*.axmodel"))


@pytest.mark.parametrize("dtype", ["u8", "u16", "bf16"])
def test_a_network_takes_a_picture_in_either_form(tmp_path, dtype):
    keys = "--picture", "uint8", "--picture-name", "pixels", "--set", f"build.vision_dtype={dtype}"
    means = "--mean", "10,20,30", "--std", "50,60,70", "--no-check"
    axsim("build", yolo(tmp_path), "--chip", "ax650n", "-o", tmp_path, *keys, *means)
    model = Model(tmp_path / "detector.axmodel", load_chip("ax650n"))
    (argument,) = model.inputs(0)
    told = argument.name, argument.dtype, argument.shape
    assert told == ("pixels", np.uint8, (1, 64, 64, 3))
    picture = np.random.default_rng(3).integers(0, 256, (1, 64, 64, 3), np.uint8)
    planes = (picture.astype(np.float32) - np.float32([10, 20, 30])) / np.float32([50, 60, 70])
    forms = picture, np.ascontiguousarray(planes.transpose(0, 3, 1, 2))
    assert all(argument.holds(each) for each in forms)
    assert not argument.holds(forms[0].astype(np.float32))
    found = [model.run(0, {"pixels": each})["output"] for each in forms]
    assert np.array_equal(*found)
    assert np.ptp(found[0]) > 0.1


def test_a_network_that_takes_bytes_as_channels_gets_them_as_they_are(tmp_path):
    m = Maker(8)
    pixels = m.node("Cast", m.node("Concat", "pixels", "pixels", axis=2), to=1)
    m.node("Conv", pixels, m.weight(4, 3, 3, 3), output="y", kernel_shape=[3, 3])
    path = m.save(
        tmp_path / "bytes.onnx", {"pixels": ("b", [1, 3, 4, 8])}, {"y": ("f", [1, 4, 6, 6])}
    )
    axsim("build", path, "--chip", "ax650n", "-o", tmp_path)
    model = Model(tmp_path / "bytes.axmodel", load_chip("ax650n"))
    (argument,) = model.inputs(0)
    assert (argument.name, argument.dtype, argument.shape) == ("pixels", np.uint8, (1, 3, 4, 8))


def test_bytes_are_for_pictures(tmp_path):
    asked = "build", network(tmp_path), "--chip", "ax650n", "-o", tmp_path, "--picture", "uint8"
    told = axsim(*asked, code=2).stderr
    assert "mixed has no one input [1, 3, H, W]: image [1, 8, 4, 4]" in told
    assert not list(tmp_path.glob("*.axmodel"))


def test_a_network_is_calibrated_on_pictures(tmp_path):
    from PIL import Image

    path = yolo(tmp_path)
    for index in range(3):
        pixels = np.random.default_rng(index).integers(0, 256, (50, 70, 3), np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{index}.png")
    asked = "build", path, "--chip", "ax650n", "--images", tmp_path
    keys = "--set", "build.preprocess.DEFAULT.std=[127.5]", "--set", "build.preprocess.DEFAULT.mean"
    told = axsim(*asked, "-o", tmp_path / "out", *keys[:-1], f"{keys[-1]}=[127.5]").stdout
    assert float(told.split("cos_sim ")[1].split()[0]) > 0.99
    manifest = Model(tmp_path / "out" / "detector.axmodel", load_chip("ax650n")).manifest
    assert manifest.picture.mean == manifest.picture.std == (127.5,) * 3
    # pixels from -1 to 1, as the pictures have them; seeded numbers reach further
    images = manifest.qparams["images"]
    assert images.scale * 255 == pytest.approx(2, abs=0.1)
    again = "--samples", tmp_path / "a.npz"
    assert "contradict each other" in axsim(*asked, "-o", tmp_path, *again, code=2).stderr


def test_samples_that_are_no_npz(tmp_path):
    path = tmp_path / "s.npz"
    np.save(tmp_path / "one", np.zeros(3))
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x.npy", (tmp_path / "one.npy").read_bytes())
    broken = bytearray(whole.getvalue())
    broken[60] ^= 255
    header = (
        b"\x93NUMPY\x01\x00\x50\x00{'descr': '<f4', 'fortran_order': False, 'shape': (10**12,)}"
    )
    lying = io.BytesIO()
    with zipfile.ZipFile(lying, "w") as archive:
        archive.writestr("x.npy", header.replace(b"10**12", b"9999999999").ljust(90) + b"\n")
    for content in ((tmp_path / "one.npy").read_bytes(), b"", bytes(broken), lying.getvalue()):
        path.write_bytes(content)
        with pytest.raises(InputError, match=r"cannot read .*s\.npz: it is no \.npz"):
            read_samples(path)
