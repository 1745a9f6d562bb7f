"""How a node is written in ONNX's operator set 18, which compilers know.

What came to ONNX later is written out in older operators, in the file of the operator; shapes that
are attributes here become initialisers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from axsim.graph.ir import Graph, Node
from axsim.kernels.array import Array


class OnnxWriter(Protocol):
    """The model being written."""

    def constant(self, name: str, array: Array) -> str:
        """An initialiser; a name given again must mean the same values."""

    def node(
        self, op: str, inputs: Sequence[str], outputs: str | Sequence[str], **attrs: Any
    ) -> str:
        """Append a node and return its first output."""


Twin = Callable[[OnnxWriter, Graph, Node, Sequence[str], Sequence[str]], None]
"""``twin(writer, graph, node, inputs, outputs)`` appends what computes ``node``, reading the ONNX
tensors ``inputs`` and making ``outputs``."""

ELEMENT: dict[str, int] = {
    "f32": 1, "u8": 2, "s8": 3, "u16": 4, "s16": 5, "s32": 6, "s64": 7, "bool": 9, "f16": 10,
    "u32": 12, "bf16": 16, "s4": 22,
}  # fmt: skip
"""ONNX's element type of each of our dtypes: TensorProto.DataType of onnx.proto."""


def same(w: OnnxWriter, graph: Graph, node: Node, x: Sequence[str], y: Sequence[str]) -> None:
    """The operator as it stands: operator set 18 has it, with the same attributes."""
    attrs = {k: list(v) if isinstance(v, tuple) else v for k, v in node.attrs.items()}
    w.node(node.op, x, y, **attrs)


def with_inputs(*keys: str) -> Twin:
    """The operator with its attributes ``keys`` as the inputs that follow the first, in order."""

    def twin(w: OnnxWriter, graph: Graph, node: Node, x: Sequence[str], y: Sequence[str]) -> None:
        import numpy as np

        attrs = {k: list(v) if isinstance(v, tuple) else v for k, v in node.attrs.items()}
        inputs = list(x)
        for key in keys:
            value = attrs.pop(key, None)
            array = np.array([] if value is None else value)
            array = array.astype(np.int64 if array.dtype.kind == "i" else np.float32)
            inputs.append("" if value is None else w.constant(f"{node.name}/{key}", array))
        while inputs and not inputs[-1]:
            inputs.pop()
        w.node(node.op, inputs, y, **attrs)

    return twin


def integers(w: OnnxWriter, name: str, values: Sequence[int]) -> str:
    """An initialiser of int64, as shapes and axes are."""
    import numpy as np

    return w.constant(name, np.array(values, np.int64))


def number(w: OnnxWriter, value: float) -> str:
    """A float32 scalar, shared by all nodes that need the same."""
    import numpy as np

    return w.constant(f"number/{value!r}", np.array(value, np.float32))
