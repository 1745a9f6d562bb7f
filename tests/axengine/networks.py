"""Small ONNX files of the kinds that people deploy: a dual encoder, a detector, a speech model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


class Maker:
    """Collects nodes and seeded weights of one file."""

    def __init__(self, seed: int) -> None:
        self._random = np.random.default_rng(seed)
        self._nodes, self._weights = [], []

    def weight(self, *shape: int, scale: float | None = None) -> str:
        name = f"w{len(self._weights)}"
        fan_in = int(np.prod(shape[1:])) or 1
        values = self._random.normal(0, scale or fan_in**-0.5, shape).astype(np.float32)
        self._weights.append(numpy_helper.from_array(values, name))
        return name

    def integers(self, *values: int) -> str:
        name = f"w{len(self._weights)}"
        self._weights.append(numpy_helper.from_array(np.array(values, np.int64), name))
        return name

    def node(self, op: str, *inputs: str, output: str = "", **attrs) -> str:
        output = output or f"t{len(self._nodes)}"
        self._nodes.append(helper.make_node(op, list(inputs), [output], **attrs))
        return output

    def silu(self, x: str) -> str:
        return self.node("Mul", x, self.node("Sigmoid", x))

    def save(self, path: Path, inputs: dict, outputs: dict) -> Path:
        def infos(of):
            kinds = {"f": TensorProto.FLOAT, "i": TensorProto.INT64, "b": TensorProto.UINT8}
            return [helper.make_tensor_value_info(n, kinds[k], s) for n, (k, s) in of.items()]

        graph = helper.make_graph(
            self._nodes, path.stem, infos(inputs), infos(outputs), self._weights
        )
        opset = [helper.make_opsetid("", 17)]
        onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=8), path)
        return path


def clip(folder: Path) -> list[Path]:
    """Two encoders into one space of 16 dimensions."""
    m = Maker(1)
    x = m.node("Conv", "image", m.weight(16, 3, 8, 8), strides=[8, 8], kernel_shape=[8, 8])
    x = m.node("Relu", x)
    x = m.node("GlobalAveragePool", x)
    x = m.node("Reshape", x, m.integers(1, 16))
    m.node("Gemm", x, m.weight(16, 16), output="features", transB=1)
    seeing = m.save(
        folder / "clip_image.onnx", {"image": ("f", [1, 3, 32, 32])}, {"features": ("f", [1, 16])}
    )
    m = Maker(2)
    x = m.node("Gather", m.weight(50, 16, scale=1.0), "text")
    x = m.node("ReduceMean", x, axes=[1], keepdims=0)
    m.node("Gemm", x, m.weight(16, 16), output="features", transB=1)
    reading = m.save(
        folder / "clip_text.onnx", {"text": ("i", [1, 8])}, {"features": ("f", [1, 16])}
    )
    return [seeing, reading]


def yolo(folder: Path) -> Path:
    """64 pixels to an 8 x 8 grid: box, objectness and 3 classes of each cell."""
    m = Maker(3)
    x = "images"
    for channels, before in ((8, 3), (16, 8), (16, 16)):
        w = m.weight(channels, before, 3, 3)
        x = m.silu(m.node("Conv", x, w, pads=[1] * 4, strides=[2, 2], kernel_shape=[3, 3]))
    x = m.node("Conv", x, m.weight(8, 16, 1, 1, scale=8.0), kernel_shape=[1, 1])
    x = m.node("Reshape", x, m.integers(1, 8, 64))
    m.node("Transpose", x, output="output", perm=[0, 2, 1])
    return m.save(
        folder / "detector.onnx", {"images": ("f", [1, 3, 64, 64])}, {"output": ("f", [1, 64, 8])}
    )


def whisper(folder: Path) -> list[Path]:
    """An encoder of 16 frames, and a decoder step that attends to them."""
    m = Maker(4)
    x = m.node("Conv", "mel", m.weight(24, 20, 3), pads=[1, 1], strides=[2], kernel_shape=[3])
    x = m.silu(x)
    x = m.node("Transpose", x, perm=[0, 2, 1])
    m.node("MatMul", x, m.weight(24, 24), output="keys")
    m.node("MatMul", x, m.weight(24, 24), output="values")
    frames = ("f", [1, 16, 24])
    listening = m.save(
        folder / "whisper_encoder.onnx",
        {"mel": ("f", [1, 20, 32])},
        {"keys": frames, "values": frames},
    )
    m = Maker(5)
    q = m.node("Gather", m.weight(40, 24, scale=1.0), "token")
    s = m.node("MatMul", q, m.node("Transpose", "keys", perm=[0, 2, 1]))
    s = m.node("Softmax", s, axis=-1)
    x = m.node("Add", q, m.node("MatMul", s, "values"))
    m.node("MatMul", x, m.weight(24, 40, scale=1.0), output="logits")
    speaking = m.save(
        folder / "whisper_decoder.onnx",
        {"token": ("i", [1, 1]), "keys": frames, "values": frames},
        {"logits": ("f", [1, 1, 40])},
    )
    return [listening, speaking]
