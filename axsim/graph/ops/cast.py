"""Cast: convert to another type. Cost: one pass.

``to`` is one of our dtype names (:data:`axsim.graph.ir.DTYPE_BITS`); the kernel knows "f32", the
integers and "bool". Floats become integers by truncation, as in ONNX.
"""

from __future__ import annotations

from collections.abc import Sequence

from axsim.graph.elementwise import one_pass, shape
from axsim.graph.ir import Graph, Node
from axsim.graph.onnx_twin import ELEMENT, OnnxWriter
from axsim.graph.operator import Operator
from axsim.kernels.array import Array

_NUMPY = {
    "f32": "float32", "f16": "float16", "u32": "uint32", "s32": "int32", "s64": "int64",
    "u16": "uint16", "s16": "int16", "u8": "uint8", "s8": "int8", "bool": "bool",
}  # fmt: skip


def _kernel(x: Array, *, to: str) -> tuple[Array]:
    if to not in _NUMPY:
        raise ValueError(f"Cast: no kernel for {to}; known: {', '.join(_NUMPY)}")
    return (x.astype(_NUMPY[to]),)


def _onnx(w: OnnxWriter, graph: Graph, node: Node, x: Sequence[str], y: Sequence[str]) -> None:
    w.node("Cast", x, y, to=ELEMENT[node.attrs["to"]])


CAST = Operator("Cast", shape, one_pass, _kernel, role="cast", onnx=_onnx)
