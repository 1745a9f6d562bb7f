"""A detector in the manner of YOLOv8s, written as an ONNX model with seeded weights.

Backbone, neck and heads have the layers, widths and sizes of the published architecture: strided
convolutions, blocks of split, residual bottlenecks and concatenation, pooling pyramid, two nearest
upsamplings, and decoupled heads of boxes and classes at three scales.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from onnx import TensorProto, helper, numpy_helper

CLASSES, BINS = 80, 16


class _Writer:
    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.weights: list[Any] = []
        self._random = np.random.default_rng(0)

    def node(self, op: str, inputs: list[str], outputs: int = 1, **attrs: Any) -> list[str]:
        names = [f"{op}{len(self.nodes)}.{i}" for i in range(outputs)]
        self.nodes.append(helper.make_node(op, inputs, names, **attrs))
        return names

    def constant(self, array: np.ndarray) -> str:
        name = f"w{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(array, name))
        return name

    def plain(self, x: str, inner: int, out: int, size: int = 1, stride: int = 1) -> str:
        deviation = (2 / (inner * size * size)) ** 0.5
        w = self._random.standard_normal((out, inner, size, size)) * deviation
        operands = [x, self.constant(w.astype(np.float32)), self.constant(np.zeros(out, "f4"))]
        pads = [size // 2] * 4
        return self.node("Conv", operands, strides=[stride] * 2, pads=pads)[0]

    def conv(self, x: str, inner: int, out: int, size: int = 1, stride: int = 1) -> str:
        y = self.plain(x, inner, out, size, stride)
        return self.node("Mul", [y, *self.node("Sigmoid", [y])])[0]

    def block(self, x: str, inner: int, out: int, count: int, residual: bool = True) -> str:
        half = out // 2
        halves = self.constant(np.array([half, half]))
        parts = self.node("Split", [self.conv(x, inner, out), halves], 2, axis=1)
        for _ in range(count):
            y = self.conv(self.conv(parts[-1], half, half, 3), half, half, 3)
            parts += self.node("Add", [parts[-1], y]) if residual else [y]
        joined = self.node("Concat", parts, axis=1)[0]
        return self.conv(joined, half * (2 + count), out)

    def pyramid(self, x: str, width: int) -> str:
        parts = [self.conv(x, width, width // 2)]
        for _ in range(3):
            parts += self.node("MaxPool", parts[-1:], kernel_shape=[5, 5], pads=[2] * 4)
        return self.conv(self.node("Concat", parts, axis=1)[0], 2 * width, width)

    def doubled(self, x: str) -> str:
        scales = self.constant(np.array([1, 1, 2, 2], np.float32))
        return self.node("Resize", [x, "", scales], mode="nearest", nearest_mode="floor",
                         coordinate_transformation_mode="asymmetric")[0]  # fmt: skip

    def head(self, x: str, width: int) -> list[str]:
        ends = []
        for inner, out in ((64, 4 * BINS), (128, CLASSES)):
            y = self.conv(self.conv(x, width, inner, 3), inner, inner, 3)
            ends.append(self.plain(y, inner, out))
        return ends


def yolov8s(size: int = 640) -> Any:
    """The ModelProto for images [1, 3, size, size]; six outputs, before boxes are decoded."""
    w = _Writer()
    x = w.conv("images", 3, 32, 3, 2)
    x = w.block(w.conv(x, 32, 64, 3, 2), 64, 64, 1)
    fine = x = w.block(w.conv(x, 64, 128, 3, 2), 128, 128, 2)
    middle = x = w.block(w.conv(x, 128, 256, 3, 2), 256, 256, 2)
    x = w.block(w.conv(x, 256, 512, 3, 2), 512, 512, 1)
    deep = w.pyramid(x, 512)
    up = w.node("Concat", [w.doubled(deep), middle], axis=1)[0]
    up = w.block(up, 768, 256, 1, residual=False)
    p3 = w.node("Concat", [w.doubled(up), fine], axis=1)[0]
    p3 = w.block(p3, 384, 128, 1, residual=False)
    p4 = w.node("Concat", [w.conv(p3, 128, 128, 3, 2), up], axis=1)[0]
    p4 = w.block(p4, 384, 256, 1, residual=False)
    p5 = w.node("Concat", [w.conv(p4, 256, 256, 3, 2), deep], axis=1)[0]
    p5 = w.block(p5, 768, 512, 1, residual=False)
    ends = [e for p, width in ((p3, 128), (p4, 256), (p5, 512)) for e in w.head(p, width)]
    graph = helper.make_graph(
        w.nodes,
        "yolov8s",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, [1, 3, size, size])],
        [helper.make_tensor_value_info(e, TensorProto.FLOAT, None) for e in ends],
        w.weights,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
