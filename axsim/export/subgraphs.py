"""Whole subgraphs as ONNX models: float32, integer with quantise / dequantise pairs, weight-only.

Quantised models say what the deployed arithmetic says (:mod:`axsim.kernels.arithmetic`): every
stored activation is followed by QuantizeLinear and DequantizeLinear of its parameters (by a cast to
bf16 and back in the decoder), weights are integer initialisers behind DequantizeLinear.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from axsim.errors import InputError
from axsim.export.writer import Writer, save
from axsim.files import whole_file
from axsim.graph.ir import Graph, Node, Tensor
from axsim.graph.onnx_twin import ELEMENT
from axsim.graph.ops import OPERATORS
from axsim.kernels.array import Array
from axsim.kernels.qparams import QParams, asymmetric
from axsim.numerics.chains import attention_chains
from axsim.numerics.integer_kernels import bias_codes
from axsim.numerics.matrix import Matrix, quantise_matrix
from axsim.numerics.ranges import QUANTISED

Weights = Callable[[str], Array]

FLOAT_OPSET = 18
"""Known to the vendor's compilers; QuantizeLinear of U8 is in it, that of U16 and INT4 are not."""
WIDE_OPSET = 21

EXTERNAL = 512 << 20
"""Weights of more bytes go into a file of their own beside the model."""

_INTEGERS = frozenset({"u8", "u32", "s32", "s64", "bool"})
_PRECISION = frozenset({"s8", "s4", "bf16"})


def export(
    graph: Graph,
    weights: Weights,
    path: str | Path,
    qparams: Mapping[str, QParams] | None = None,
    quantised: bool = False,
) -> list[Path]:
    """Write ``graph`` to ``path`` as ONNX and check it; returns the files written.

    Not ``quantised``: float32, whatever the storage dtypes. With ``qparams`` of every quantised
    activation: integer. Else weight-only. Inputs and outputs are float32 but for pixels (uint8),
    indices and truths. Weights are read one after the other; those of more than ``EXTERNAL`` bytes
    together go to ``path`` with ``.data`` appended, never all in memory.

    Raises:
        InputError: the files cannot be written, or a node has no translation.
    """
    path = Path(path)
    wide = {"u16", "s4"} & {t.dtype for t in graph.tensors.values()}
    opset = WIDE_OPSET if quantised and wide else FLOAT_OPSET
    size = sum(4 * t.elements for t in graph.weights())
    if size <= EXTERNAL:
        save(_Model(graph, weights, Writer(opset), qparams, quantised).build(), path)
        return [path]
    beside = path.with_name(path.name + ".data")
    with whole_file(beside) as data:
        writer = Writer(opset, data, beside.name)
        model = _Model(graph, weights, writer, qparams, quantised).build()
    save(model, path)
    return [path, beside]


class _Model:
    def __init__(
        self,
        graph: Graph,
        weights: Weights,
        writer: Writer,
        qparams: Mapping[str, QParams] | None,
        quantised: bool,
    ) -> None:
        self._graph, self._weights, self._w = graph, weights, writer
        self._qparams = dict(qparams or {}) if quantised else {}
        self._rounds = quantised and qparams is None
        self._quantised = quantised
        self._matrices: dict[str, Array] = {}  # scales of S8 matrices, for their biases
        self._real: dict[str, str] = {}
        self._readers = Counter(name for node in graph.nodes for name in node.inputs)
        # Scores stay float32 until the probabilities are rounded.
        self._wide = {
            name
            for chain in attention_chains(graph)
            for node in (chain.first, *chain.middle)
            for name in node.outputs
        }

    def build(self) -> object:
        graph = self._graph
        for name in graph.inputs:
            self._real[name] = name
            if name in self._qparams:
                parameters = self._parameters(name, self._qparams[name])
                codes = self._w.node("QuantizeLinear", [name, *parameters], f"{name}/codes")
                self._real[name] = self._w.node(
                    "DequantizeLinear", [codes, *parameters], f"{name}/real"
                )
            if self._rounds and graph.tensors[name].dtype == "bf16":
                self._real[name] = self._rounded(name, f"{name}/rounded")
        for node in graph.nodes:
            inputs = [self._operand(node, index) for index in range(len(node.inputs))]
            outputs = [n if not self._stored(n) else f"{n}/raw" for n in node.outputs]
            twin = OPERATORS[node.op].onnx
            if twin is None:
                raise InputError(f"graph {graph.name}: {node.op} has no ONNX translation")
            twin(self._w, graph, node, inputs, outputs)
            for name, raw in zip(node.outputs, outputs, strict=True):
                self._real[name] = self._store(name, raw) if raw != name else name
        return self._w.model(
            graph.name,
            [(n, self._io(n), graph.tensors[n].shape) for n in graph.inputs],
            [(n, self._io(n), graph.tensors[n].shape) for n in graph.outputs],
        )

    def _io(self, name: str) -> str:
        dtype = "f32" if name in self._qparams else self._graph.tensors[name].dtype
        return dtype if dtype in _INTEGERS else "f32"

    def _stored(self, name: str) -> bool:
        """Whether a node's output is rounded to codes or to bf16."""
        if name in self._qparams:
            return True
        return self._rounds and self._graph.tensors[name].dtype == "bf16" and name not in self._wide

    def _store(self, name: str, raw: str) -> str:
        q = self._qparams.get(name)
        if q is None:
            return self._rounded(raw, name)
        codes = self._w.node("QuantizeLinear", [raw, *self._parameters(name, q)], f"{name}/codes")
        return self._w.node("DequantizeLinear", [codes, *self._parameters(name, q)], name)

    def _parameters(self, name: str, q: QParams) -> tuple[str, str]:
        scale = self._w.constant(f"{name}/scale", np.array(q.scale, np.float32))
        return scale, self._w.constant(f"{name}/zero", np.array(q.zero_point, q.numpy))

    def _rounded(self, x: str, y: str) -> str:
        short = self._w.node("Cast", [x], f"{y}/bf16", to=ELEMENT["bf16"])
        return self._w.node("Cast", [short], y, to=ELEMENT["f32"])

    def _operand(self, node: Node, index: int) -> str:
        name = node.inputs[index]
        tensor = self._graph.tensors[name]
        is_bias = OPERATORS[node.op].role == "matrix" and index == 2
        if is_bias and self._quantised and tensor.dtype == "s32":
            return self._bias(tensor, node)
        if name in self._real:
            return self._real[name]
        if tensor.kind == "constant":
            array = np.asarray(self._graph.values[name]())
            array = array.astype(np.float32) if array.dtype.kind == "f" else array
            self._real[name] = self._w.constant(name, array)
        elif not self._quantised:
            self._real[name] = self._w.constant(name, self._weights(name))
        else:
            self._real[name] = self._weight(tensor, node, index)
        return self._real[name]

    def _weight(self, tensor: Tensor, node: Node, index: int) -> str:
        array = self._weights(tensor.name)
        if tensor.dtype in _PRECISION and index == 1 and len(tensor.shape) > 1:
            if node.op == "ConvTranspose":
                return self._transposed(tensor, node, array)
            return self._matrix(tensor, array)
        if tensor.dtype in QUANTISED:
            q = asymmetric(float(array.min()), float(array.max()), tensor.dtype)
            held = self._w.constant(f"{tensor.name}/codes", q.quantise(array))
            parameters = self._parameters(tensor.name, q)
            return self._w.node("DequantizeLinear", [held, *parameters], tensor.name)
        if tensor.dtype == "bf16":
            return self._rounded(self._w.constant(f"{tensor.name}/raw", array), tensor.name)
        return self._w.constant(tensor.name, array)

    def _bias(self, tensor: Tensor, node: Node) -> str:
        """A bias in the unit of the node's sums, which another node that shares it has not."""
        scale = self._matrices[node.inputs[1]] * np.float32(self._qparams[node.inputs[0]].scale)
        bias = self._weights if tensor.kind == "weight" else lambda n: self._graph.values[n]()
        codes = bias_codes(bias(tensor.name), scale).astype(np.int32)
        name = f"{node.name}/{tensor.name}" if self._readers[tensor.name] > 1 else tensor.name
        return self._dequantised(name, codes, scale, axis=0)

    def _matrix(self, tensor: Tensor, array: Array) -> str:
        name = tensor.name
        if isinstance(array, Matrix):
            matrix = array
        else:
            matrix = quantise_matrix(array.reshape(array.shape[0], -1), tensor.dtype)
        if matrix.scale is None:
            values = matrix.dequantise().reshape(tensor.shape)
            return self._w.constant(name, values)
        if tensor.dtype == "s8":
            self._matrices[name] = matrix.scale
            codes = matrix.codes.reshape(tensor.shape)
            return self._dequantised(name, codes, matrix.scale, axis=0)
        codes_name = self._w.nibbles(f"{name}/codes", matrix.codes)
        scale_name = self._w.constant(f"{name}/scale", matrix.scale)
        return self._w.node(
            "DequantizeLinear", [codes_name, scale_name], name, axis=1, block_size=matrix.group
        )

    def _transposed(self, tensor: Tensor, node: Node, array: Array) -> str:
        """The weight [C, M, taps...] of a transposed convolution, one scale for each of M."""
        if node.attrs.get("group", 1) != 1 or tensor.dtype != "s8":
            what = f"{node.name}, a transposed convolution in groups, has no quantised translation"
            raise InputError(f"graph {self._graph.name}: {what}")
        rows = array.swapaxes(0, 1)
        matrix = quantise_matrix(rows.reshape(len(rows), -1), tensor.dtype)
        assert matrix.scale is not None
        self._matrices[tensor.name] = matrix.scale
        codes = np.ascontiguousarray(matrix.codes.reshape(rows.shape).swapaxes(0, 1))
        return self._dequantised(tensor.name, codes, matrix.scale, axis=1)

    def _dequantised(self, name: str, codes: Array, scale: Array, axis: int) -> str:
        inputs = [
            self._w.constant(f"{name}/codes", codes),
            self._w.constant(f"{name}/scale", np.asarray(scale, np.float32)),
        ]
        if codes.dtype == np.int8:
            # Said although it is 0: fusions of onnxruntime up to 1.23 want it in the scale's shape.
            zeros = np.zeros(np.shape(scale), np.int8)
            inputs.append(self._w.constant(f"{name}/zero_point", zeros))
        return self._w.node("DequantizeLinear", inputs, name, axis=axis)
