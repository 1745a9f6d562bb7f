"""What onnxruntime computes of the files that tests read."""

from functools import cache
from pathlib import Path

import numpy as np
import onnx
from onnx import helper, numpy_helper

from axsim.network.network import Network
from axsim.network.random_weights import seeded
from axsim.network.read import read
from axsim.spec.descriptor import data_folder

GRAPHS = sorted((data_folder("measurements") / "onnx").glob("*.onnx"), key=lambda p: p.name)


def session(model: onnx.ModelProto | Path):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    source = str(model) if isinstance(model, Path) else model.SerializeToString()
    return onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])


def with_values(path: Path, network: Network) -> onnx.ModelProto:
    """The file's model with the seeded arrays of ``network`` in place of those it lacks."""
    model = onnx.load(str(path))
    stored = network.stored()
    for tensor in model.graph.initializer:
        if tensor.name in stored:
            dtype = helper.tensor_dtype_to_np_dtype(tensor.data_type)
            array = np.asarray(network.weight(tensor.name)).astype(dtype)
            tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))
    return model


@cache
def graph(name: str) -> Network:
    """A shipped graph with seeded weights."""
    return seeded(read(next(p for p in GRAPHS if p.stem == name)))


def inputs(network: Network, seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {
        name: rng.standard_normal(network.graph.tensors[name].shape).astype(np.float32)
        for name in network.graph.inputs
    }


def error(found: np.ndarray, expected: np.ndarray) -> float:
    """The largest difference over the largest number expected."""
    assert found.shape == expected.shape
    return float(np.abs(found - expected).max() / np.abs(expected).max())


def model(nodes, inputs, outputs, initialisers=(), opset=17, **shapes):
    """A model of nodes; inputs and outputs are (name, shape) in float32."""
    f32 = onnx.TensorProto.FLOAT
    graph = helper.make_graph(
        nodes,
        "test",
        [helper.make_tensor_value_info(n, f32, s) for n, s in inputs],
        [helper.make_tensor_value_info(n, f32, s) for n, s in outputs],
        [numpy_helper.from_array(np.asarray(a), n) for n, a in dict(initialisers).items()],
    )
    opsets = [helper.make_opsetid("", opset)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8)
