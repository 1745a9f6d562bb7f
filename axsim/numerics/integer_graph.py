"""Integer arithmetic of the U8/U16 vision graph, for :class:`axsim.numerics.executor.Executor`.

A stored value is an array of codes where the tensor has :class:`QParams`, else real values.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from axsim.graph.ir import Graph, Node, Tensor
from axsim.graph.ops import OPERATORS
from axsim.kernels.array import Array
from axsim.kernels.choose import choose
from axsim.kernels.products import Products
from axsim.kernels.qparams import QParams, asymmetric
from axsim.numerics import integer_kernels as kernels
from axsim.numerics.chains import attention_chains
from axsim.numerics.integer_kernels import IntegerMatrix
from axsim.numerics.matrix import quantise_matrix
from axsim.numerics.ranges import QUANTISED
from axsim.numerics.steps import Step, Weights


class IntegerWeights:
    """S8 matrices packed for products, by tensor name: one set serves U8, U16 and image sizes."""

    def __init__(self, products: Products | None = None) -> None:
        self.products = products or choose()
        self._matrices: dict[str, IntegerMatrix] = {}

    def matrix(self, name: str, weights: Weights) -> IntegerMatrix:
        """The matrix [out, in] of a weight; a convolution's has its window flattened."""
        if name not in self._matrices:
            array = weights(name)
            stored = quantise_matrix(array.reshape(array.shape[0], -1))
            assert stored.scale is not None
            packed = self.products.pack(stored.codes)
            self._matrices[name] = IntegerMatrix(packed, stored.scale)
        return self._matrices[name]


class Integer:
    """Arithmetic of one graph whose dtypes are assigned and whose activations are calibrated.

    ``qparams``: of every U8 and U16 activation (:meth:`Calibration.qparams`). ``weights`` may be
    shared between arithmetics of the same checkpoint.
    """

    def __init__(
        self, qparams: Mapping[str, QParams], weights: IntegerWeights | None = None
    ) -> None:
        self._qparams = dict(qparams)
        self._weights = weights or IntegerWeights()

    def load(self, tensor: Tensor, weights: Weights) -> Any:
        """A packed matrix, or float32 values (rounded to codes where they are stored as such)."""
        if tensor.dtype == "s8":
            return self._weights.matrix(tensor.name, weights)
        array = weights(tensor.name)
        if tensor.dtype in QUANTISED:
            q = asymmetric(float(array.min()), float(array.max()), tensor.dtype)
            return q.dequantise(q.quantise(array))
        return array

    def feed(self, tensor: Tensor, array: Array) -> Array:
        """Codes of a quantised input; integers and constants as they are."""
        q = self._qparams.get(tensor.name)
        if q is None or array.dtype.kind != "f":
            return array
        return q.quantise(array)

    def fetch(self, tensor: Tensor, value: Array) -> Array:
        """Real values."""
        q = self._qparams.get(tensor.name)
        return value if q is None else q.dequantise(value)

    def steps(self, graph: Graph, keep: Collection[str]) -> Mapping[str, Step | None]:
        """Attention is one step where nothing inside is kept; every other node is its own.

        Raises ValueError for an activation without parameters and for an operator that integers
        cannot serve.
        """
        missing = [
            name
            for name, tensor in graph.tensors.items()
            if tensor.dtype in QUANTISED
            and tensor.kind == "activation"
            and name not in self._qparams
        ]
        if missing:
            raise ValueError(f"graph {graph.name}: no quantisation parameters for {missing[:5]}")
        steps: dict[str, Step | None] = {}
        for chain in attention_chains(graph, keep):
            if chain.middle or not self._all(*chain.inputs, chain.scores, chain.softmax):
                continue
            steps |= dict.fromkeys(chain.nodes[:-1])
            steps[chain.nodes[-1]] = self._attention(chain.inputs, chain.tensors)
        for node in graph.nodes:
            if node.name not in steps:
                steps[node.name] = self._step(graph, node)
        return steps

    def _all(self, *names: str) -> bool:
        return all(name in self._qparams for name in names)

    def _attention(self, inputs: Sequence[str], tensors: Sequence[str]) -> Step:
        p = kernels.AttentionQParams(*(self._qparams[n] for n in (*inputs, *tensors)))
        products = self._weights.products
        return Step(
            tuple(inputs),
            (tensors[-1],),
            lambda q, k, v: [kernels.attention(products, q, k, v, p)],
        )

    def _step(self, graph: Graph, node: Node) -> Step:
        operator, attrs = OPERATORS[node.op], dict(node.attrs)
        if operator.role == "matrix" and graph.tensors[node.inputs[1]].dtype == "s8":
            return self._projection(graph, node)
        q = [self._qparams.get(name) for name in node.inputs]
        y = [self._qparams.get(name) for name in node.outputs]
        shape = graph.tensors[node.outputs[0]].shape

        def apply(*values: Array) -> Array:
            result: Array = operator.kernel(*values, **attrs)[0]
            return result

        if operator.role in ("view", "join"):
            return _layout(node, q, y)
        if self._keeps_codes(graph, node):
            return Step(node.inputs, node.outputs, lambda x, factor: [x])
        if node.op == "MatMul" and q[0] and q[1] and y[0]:
            qa, qb, qy = q[0], q[1], y[0]
            products = self._weights.products
            return Step(
                node.inputs,
                node.outputs,
                lambda a, b: [kernels.matmul(products, a, b, qa, qb, qy)],
            )
        if node.op == "Softmax" and q[0] and y[0] and _last_axis(node, len(shape)):
            qx, qy = q[0], y[0]
            return Step(node.inputs, node.outputs, lambda x: [kernels.softmax(x, qx, qy)])
        if operator.role == "function" and q[0] and y[0]:
            qx, qy = q[0], y[0]
            entries = lru_cache(maxsize=1)(lambda: kernels.table(apply, qx, qy))
            return Step(node.inputs, node.outputs, lambda x: [kernels.look_up(entries(), x)])
        fast = self._pass(graph, node)
        if fast is not None:
            return fast
        if operator.role in ("norm", "elementwise") and len(shape) > 1:
            return Step(
                node.inputs,
                node.outputs,
                lambda *values: [kernels.in_float(apply, values, q, y[0], shape)],
            )

        def whole(*values: Array) -> list[Array]:
            reals = [kernels.real(v, qx) for v, qx in zip(values, q, strict=True)]
            results = operator.kernel(*reals, **attrs)[: len(y)]
            return [r if qy is None else qy.quantise(r) for r, qy in zip(results, y, strict=True)]

        return Step(node.inputs, node.outputs, whole)

    def _pass(self, graph: Graph, node: Node) -> Step | None:
        """Sums of two tensors, products with a factor for each column, and LayerNormalization."""
        x, y = self._qparams.get(node.inputs[0]), self._qparams.get(node.outputs[0])
        shape = graph.tensors[node.outputs[0]].shape
        if x is None or y is None or graph.tensors[node.inputs[0]].shape != shape:
            return None
        other = node.inputs[1]
        q, factors = self._qparams.get(other), graph.tensors[other].shape
        if node.op == "Add" and q is not None and factors == shape:
            return Step(node.inputs, node.outputs, lambda a, b: [kernels.add(a, b, x, q, y)])
        if len(shape) != 2 or q is not None:
            return None
        if node.op == "Mul" and factors in (shape[1:], (1, *shape[1:])):
            return Step(node.inputs, node.outputs, lambda a, f: [kernels.scale_columns(a, f, x, y)])
        if node.op == "LayerNormalization" and _last_axis(node, 2) and factors == shape[1:]:
            epsilon = float(node.attrs.get("epsilon", 1e-5))

            def normalise(a: Array, scale: Array, bias: Array | None = None) -> list[Array]:
                return [kernels.layer_norm(a, scale, bias, epsilon, x, y)]

            return Step(node.inputs, node.outputs[:1], normalise)
        return None

    def _keeps_codes(self, graph: Graph, node: Node) -> bool:
        if node.op != "Mul" or graph.tensors[node.inputs[1]].kind != "constant":
            return False
        x, y = self._qparams.get(node.inputs[0]), self._qparams.get(node.outputs[0])
        if x is None or y is None or graph.tensors[node.inputs[1]].elements != 1:
            return False
        factor = float(graph.values[node.inputs[1]]().reshape(()))
        return factor > 0 and x.scaled(factor) == y

    def _projection(self, graph: Graph, node: Node) -> Step:
        x, y = self._qparams.get(node.inputs[0]), self._qparams.get(node.outputs[0])
        if x is None or y is None:
            raise ValueError(f"graph {graph.name}: {node.name} needs quantised input and output")
        if node.op == "Gemm":
            _require(graph, node, transA=0, transB=1, alpha=1.0, beta=1.0)

            def gemm(a: Array, w: IntegerMatrix, bias: Array | None = None) -> list[Array]:
                return [kernels.gemm(a, w, bias, x, y)]

            return Step(node.inputs, node.outputs, gemm)
        size = graph.tensors[node.inputs[1]].shape[2:]
        window = tuple(size)
        _require(graph, node, strides=window, group=1, pads=(0,) * 4, dilations=(1, 1))

        def conv(a: Array, w: IntegerMatrix, bias: Array | None = None) -> list[Array]:
            rows = patches(a, size[0], size[1])
            codes = kernels.gemm(rows, w, bias, x, y)
            grid = (a.shape[2] // size[0], a.shape[3] // size[1])
            return [codes.T.reshape(1, -1, *grid)]

        return Step(node.inputs, node.outputs, conv)


def patches(image: Array, height: int, width: int) -> Array:
    """[1, C, H, W] cut into rows [patches, C * height * width], in (c, y, x) order."""
    _, channels, rows, columns = image.shape
    grid = image[0].reshape(channels, rows // height, height, columns // width, width)
    cut: Array = grid.transpose(1, 3, 0, 2, 4).reshape(-1, channels * height * width)
    return np.ascontiguousarray(cut)


def _layout(node: Node, q: Sequence[QParams | None], y: Sequence[QParams | None]) -> Step:
    """Move codes; where the parameters differ, dequantise and quantise each operand first."""
    operator, attrs, count = OPERATORS[node.op], dict(node.attrs), len(node.outputs)
    target = y[0]

    def run(*values: Array) -> list[Array]:
        moved = []
        for value, source in zip(values, q, strict=True):
            if source != target and value.dtype.kind not in "b" and value.dtype != np.int64:
                value = kernels.real(value, source)
                value = value if target is None else target.quantise(value)
            moved.append(value)
        return list(operator.kernel(*moved, **attrs)[:count])

    return Step(node.inputs, node.outputs, run)


def _require(graph: Graph, node: Node, **wanted: Any) -> None:
    defaults = {"transA": 0, "transB": 0, "alpha": 1.0, "beta": 1.0, "group": 1}
    for key, value in wanted.items():
        found = node.attrs.get(key, defaults.get(key, value))
        if (tuple(found) if isinstance(found, (list, tuple)) else found) != value:
            raise ValueError(
                f"graph {graph.name}: {node.name} has {key}={found!r}; integers need {value!r}"
            )


def _last_axis(node: Node, rank: int) -> bool:
    return int(node.attrs.get("axis", -1)) in (-1, rank - 1)
