"""Integer arithmetic of the U8/U16 vision graph, for :class:`axsim.numerics.executor.Executor`.

A stored value is an array of codes where the tensor has :class:`QParams`, else real values.

In a U8 build every activation has 256 codes, the sums along the residual path included: U8 is the
documented default of each operator's output. The timing model moves those sums in 16 bits
(``_read_by_norms`` in :mod:`axsim.compiler.lower`), which the times of the vendor's U8 towers ask
for; what codes they hold there nobody has published. So these similarities are the lower ones. The
other reading is ``build.precision_overrides: {"layers.*.residual": u16}``, which takes no time in
the model: on synthetic weights InternVL2-1B's tower at 224 pixels reaches 0.9981 with it, 0.9933
without.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import lru_cache, partial
from typing import Any

import numpy as np

from axsim.errors import InputError, Problem
from axsim.graph.ir import FLOATS, Graph, Node, Tensor
from axsim.graph.ops import OPERATORS
from axsim.graph.own_integers import own_integers
from axsim.graph.patterns import Chains
from axsim.kernels.array import Array
from axsim.kernels.choose import choose
from axsim.kernels.finish import Sum
from axsim.kernels.products import Products
from axsim.kernels.qparams import QParams, asymmetric
from axsim.numerics import integer_kernels as kernels
from axsim.numerics.chains import attention_chains
from axsim.numerics.integer_conv import (
    ConvWeight,
    conv_transpose,
    conv_weight,
    convolution,
    finish_of,
    plane,
    squares_pay,
)
from axsim.numerics.integer_kernels import IntegerMatrix
from axsim.numerics.matrix import Matrix, quantise_matrix
from axsim.numerics.ranges import QUANTISED
from axsim.numerics.steps import Step, Weights


class IntegerWeights:
    """S8 matrices packed for products, by tensor name: one set serves U8, U16 and image sizes.

    Weights are float32, or a :class:`Matrix` of S8 codes that were made before.
    """

    def __init__(self, products: Products | None = None) -> None:
        self.products = products or choose()
        self._windows = products or choose(windows=True)
        self._matrices: dict[str, IntegerMatrix] = {}
        self._convolutions: dict[tuple[str, bool], ConvWeight] = {}

    def prepare(self, name: str, weights: Weights) -> object:
        """What products need of a weight: of a matrix, or of a convolution in one group."""
        array = weights(name)
        if array.ndim > 2:
            return self.convolution(name, "Conv", 1, lambda _: array)
        return self.matrix(name, lambda _: array)

    def matrix(self, name: str, weights: Weights) -> IntegerMatrix:
        """The matrix [out, in] of a weight."""
        if name not in self._matrices:
            value: Any = weights(name)
            stored = value if isinstance(value, Matrix) else quantise_matrix(value)
            assert stored.scale is not None
            packed = self.products.pack(stored.codes)
            self._matrices[name] = IntegerMatrix(packed, stored.scale)
        return self._matrices[name]

    def convolution(
        self, name: str, op: str, group: int, weights: Weights, in_squares: bool = False
    ) -> ConvWeight:
        """The weight of a Conv or ConvTranspose, ``in_squares`` where :meth:`squares_pay`."""
        key = name, in_squares
        if key not in self._convolutions:
            made = conv_weight(weights(name), op, group, self._windows, in_squares)
            self._convolutions[key] = made
        return self._convolutions[key]

    def squares_pay(self, graph: Graph, conv: Node) -> bool:
        """Whether a Conv is faster in squares (:func:`axsim.numerics.integer_conv.squares_pay`)."""
        x, w = (graph.tensors[name] for name in conv.inputs[:2])
        at, group = plane(x.shape[2:], w.shape, conv.attrs), conv.attrs.get("group", 1)
        return squares_pay(w.shape, group, at, x.dtype, self._windows)


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
        self._convolutions: dict[str, tuple[str, int, bool]] = {}

    def load(self, tensor: Tensor, weights: Weights) -> Any:
        """A packed matrix, or float32 values (rounded to codes where they are stored as such)."""
        if tensor.name in self._convolutions:
            op, group, in_squares = self._convolutions[tensor.name]
            return self._weights.convolution(tensor.name, op, group, weights, in_squares)
        if tensor.dtype == "s8":
            return self._weights.matrix(tensor.name, weights)
        array = weights(tensor.name)
        if tensor.dtype in QUANTISED and array.dtype.kind == "f":
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
        cannot serve, InputError for a convolution of volumes.
        """
        known = self._qparams.keys() | own_integers(graph, self._qparams)
        missing = [
            name
            for name, tensor in graph.tensors.items()
            if tensor.dtype in QUANTISED and tensor.kind == "activation" and name not in known
        ]
        if missing:
            raise ValueError(f"graph {graph.name}: no quantisation parameters for {missing[:5]}")
        steps: dict[str, Step | None] = {}
        for chain in attention_chains(graph, keep):
            heads = {graph.tensors[name].shape[:-2] for name in chain.inputs}
            ready = self._all(*chain.inputs, chain.scores, chain.softmax)
            if chain.middle or not ready or len(heads) > 1:
                continue
            steps |= dict.fromkeys(chain.nodes[:-1])
            steps[chain.nodes[-1]] = self._attention(chain.inputs, chain.tensors)
        for conv, *tail in Chains(graph, keep).products(("Conv",), ("Add",)):
            if tail and self._sums_up(graph, conv, tail[0]):
                steps[conv.name] = None
                steps[tail[0].name] = self._projection(graph, conv, tail[0])
        for node in graph.nodes:
            if node.name not in steps:
                steps[node.name] = self._step(graph, node)
        return steps

    def _sums_up(self, graph: Graph, conv: Node, add: Node) -> bool:
        """Whether ``add`` is of a convolution of images and a tensor of its shape, in codes."""
        shape = graph.tensors[add.outputs[0]].shape
        same = all(graph.tensors[name].shape == shape for name in add.inputs)
        s8 = graph.tensors[conv.inputs[1]].dtype == "s8"
        return s8 and same and len(shape) == 4 and self._all(*add.inputs, *add.outputs)

    def _all(self, *names: str) -> bool:
        return all(name in self._qparams for name in names)

    def _attention(self, inputs: Sequence[str], tensors: Sequence[str]) -> Step:
        p = kernels.AttentionQParams(*(self._qparams[n] for n in (*inputs, *tensors)))
        products = self._weights.products

        def attend(*operands: Array) -> list[Array]:
            q, k, v = (x.reshape(-1, *x.shape[-2:]) for x in operands)
            context = kernels.attention(products, q, k, v, p)
            return [context.reshape(*operands[0].shape[:-2], *context.shape[1:])]

        return Step(tuple(inputs), (tensors[-1],), attend)

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

        if operator.role == "join" or operator.keeps_codes(attrs):
            return _layout(node, q, y)
        if operator.limits is not None and q[0] == y[0] is not None:
            return Step(node.inputs, node.outputs, lambda x: [x])  # saturation did it
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
            return Step(
                node.inputs,
                node.outputs,
                lambda x: [by_pixel(partial(kernels.look_up, entries()), x)],
            )
        fast = self._pass(graph, node)
        if fast is not None:
            return fast
        is_real = y[0] is not None or graph.tensors[node.outputs[0]].dtype in FLOATS
        if operator.role in ("norm", "elementwise") and len(shape) > 1 and is_real:
            return Step(
                node.inputs,
                node.outputs,
                lambda *values: [kernels.in_float(apply, values, q, y[0], shape)],
            )

        def whole(*values: Array) -> list[Array]:
            reals = [
                value if qx is None else kernels.real(value, qx).astype(np.float64)
                for value, qx in zip(values, q, strict=True)
            ]
            results = operator.kernel(*reals, **attrs)[: len(y)]
            return [
                result if qy is None else qy.quantise(result.astype(np.float32))
                for result, qy in zip(results, y, strict=True)
            ]

        return Step(node.inputs, node.outputs, whole)

    def _pass(self, graph: Graph, node: Node) -> Step | None:
        """Sums of two tensors, products with a factor for each column, and LayerNormalization."""
        x, y = self._qparams.get(node.inputs[0]), self._qparams.get(node.outputs[0])
        shape = graph.tensors[node.outputs[0]].shape
        if len(node.inputs) < 2:
            return None
        if x is None or y is None or graph.tensors[node.inputs[0]].shape != shape:
            return None
        other = node.inputs[1]
        q, factors = self._qparams.get(other), graph.tensors[other].shape
        if node.op == "Add" and q is not None and factors == shape:

            def total(a: Array, b: Array) -> list[Array]:
                return [by_pixel(lambda a, b: kernels.add(a, b, x, q, y), a, b)]

            return Step(node.inputs, node.outputs, total)
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

    def _projection(self, graph: Graph, node: Node, add: Node | None = None) -> Step:
        """A product with S8 weights; of a convolution with the sum that follows, if any."""
        x, y = self._qparams.get(node.inputs[0]), self._qparams.get(node.outputs[0])
        if x is None or y is None:
            raise ValueError(f"graph {graph.name}: {node.name} needs quantised input and output")
        if node.op == "Gemm":
            _require(graph, node, transA=0, transB=1, alpha=1.0, beta=1.0)

            def gemm(a: Array, w: IntegerMatrix, bias: Array | None = None) -> list[Array]:
                return [kernels.gemm(a, w, bias, x, y)]

            return Step(node.inputs, node.outputs, gemm)
        attrs, sides = dict(node.attrs), len(graph.tensors[node.inputs[0]].shape) - 2
        if sides > 2:
            what = f"{node.name} convolves over {sides} dimensions, which integers do over two"
            allowed = "build.vision_dtype=bf16, or times alone"
            raise InputError(Problem(graph.name, "", what, allowed))
        in_squares = node.op == "Conv" and self._weights.squares_pay(graph, node)
        name = node.inputs[1]
        before = self._convolutions.get(name, (node.op, 1, True))
        self._convolutions[name] = node.op, attrs.get("group", 1), in_squares and before[2]
        if node.op == "ConvTranspose":

            def transposed(a: Array, w: ConvWeight, bias: Array | None = None) -> list[Array]:
                return [conv_transpose(a, w, bias, attrs, x, y)]

            return Step(node.inputs, node.outputs, transposed)
        shape, weight = (graph.tensors[name].shape for name in node.inputs[:2])
        at = plane(shape[2:], weight, attrs)
        latest: list[Any] = [None, None, None]
        inputs, outputs, has_bias, then = node.inputs, node.outputs, len(node.inputs) > 2, None
        if add is not None:
            (other,) = (name for name in add.inputs if name != node.outputs[0])
            inputs, outputs = (*inputs, other), add.outputs
            then = Sum(y, self._qparams[other], self._qparams[outputs[0]])

        def convolve(a: Array, w: ConvWeight, *rest: Array) -> list[Array]:
            bias, others = (rest[0], rest[1:]) if has_bias else (None, rest)
            if latest[0] is not w or latest[1] is not bias:
                ready = convolution(w, finish_of(w, bias, x, y), at, x, shape[1:], then)
                latest[:] = w, bias, ready
            return [latest[2](a, *others)]

        return Step(inputs, outputs, convolve)


def by_pixel(kernel: Callable[..., Array], *operands: Array) -> Array:
    """An elementwise ``kernel`` of tensors of one shape; images are handed on as rows of pixels,
    which is how they lie in memory."""
    if operands[0].ndim != 4:
        return kernel(*operands)
    n, channels, height, width = operands[0].shape
    rows = kernel(*(x.transpose(0, 2, 3, 1).reshape(-1, channels) for x in operands))
    images: Array = rows.reshape(n, height, width, channels).transpose(0, 3, 1, 2)
    return images


def _layout(node: Node, q: Sequence[QParams | None], y: Sequence[QParams | None]) -> Step:
    """Move codes; where the parameters differ, dequantise and quantise each operand first."""
    operator, attrs, count = OPERATORS[node.op], dict(node.attrs), len(node.outputs)
    target = y[0]
    entries = lru_cache(maxsize=None)(partial(kernels.table, lambda values: values))

    def run(*values: Array) -> list[Array]:
        moved = []
        for value, source in zip(values, q, strict=True):
            if source is not None and target is not None:
                if source != target:
                    table = entries(source, target)
                    value = by_pixel(partial(kernels.look_up, table), value)
            elif source != target and (source is not None or value.dtype.kind == "f"):
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
