"""Weight-only arithmetic (w8a16, w4a16) for :class:`axsim.numerics.executor.Executor`.

Values are float32 arrays that hold bf16 (or f16) numbers wherever the graph stores such; what is
rounded where is defined in :mod:`axsim.kernels.arithmetic`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import numpy as np

from axsim.graph.ir import Graph, Node, Tensor
from axsim.graph.ops import OPERATORS
from axsim.kernels.arithmetic import round_bf16
from axsim.kernels.array import Array
from axsim.kernels.bf16 import probabilities, soften
from axsim.kernels.blas import one_blas_thread
from axsim.kernels.choose import choose
from axsim.kernels.parallel import for_rows, parallel, threads
from axsim.kernels.scratch import Scratch
from axsim.numerics.bf16_kernels import Kernel, bf16_kernel, gated_kernel
from axsim.numerics.chains import (
    AttentionChain,
    attention_chains,
    gated_products,
    row_chains,
)
from axsim.numerics.fixed_point import PackedMatrix, product
from axsim.numerics.matrix import Matrix, quantise_matrix
from axsim.numerics.steps import Step, Weights

Round = Callable[[Array], Array]

STORED = frozenset({"s8", "s4", "bf16"})
"""Storage dtypes of weight matrices."""


class WeightOnly:
    """Arithmetic of a graph whose dtypes :func:`~axsim.numerics.formats.assign_decoder` gave.

    Weights may come from :class:`~axsim.numerics.stored.StoredWeights`, which quantises and
    packs each once, or as float32, quantised anew at every use. ``exact`` names graph
    inputs that already hold numbers of their storage dtype, so that they need no rounding: the
    caches, which are outputs of earlier runs. One object serves any number of executors.
    """

    def __init__(self, exact: Collection[str] = ("K_cache", "V_cache")) -> None:
        self._exact = frozenset(exact)
        self._plain: set[str] = set()  # weights that other operators than products read
        self._scratch = Scratch()

    def load(self, tensor: Tensor, weights: Weights) -> Any:
        """A matrix, or float32 values."""
        value: Any = weights(tensor.name)
        if isinstance(value, Matrix | PackedMatrix) or tensor.dtype not in STORED:
            return value
        # No matrix and no convolution, whose weights are S8 in a network: a vector, positions.
        is_matrix = value.ndim == 2 and tensor.name not in self._plain
        if not is_matrix and (value.ndim != 4 or tensor.dtype == "bf16"):
            return _rounding(tensor.dtype)(np.array(value, order="C"))
        return quantise_matrix(value.reshape(value.shape[0], -1), tensor.dtype)

    def feed(self, tensor: Tensor, array: Array) -> Array:
        """``array`` rounded to the tensor's dtype; integers as they are."""
        if array.dtype.kind in "iub":
            return array
        if tensor.kind == "constant" or tensor.name in self._exact:
            return array.astype(np.float32, copy=False)
        return _rounding(tensor.dtype)(np.array(array, np.float32, order="C"))

    def fetch(self, tensor: Tensor, value: Array) -> Array:
        """``value`` itself."""
        return value

    def steps(self, graph: Graph, keep: Collection[str]) -> Mapping[str, Step | None]:
        """Attention is one step where nothing inside is kept, and so are operators that treat rows
        alone; every other node is its own."""
        self._plain |= {
            name
            for node in graph.nodes
            for place, name in enumerate(node.inputs)
            if place != 1 or OPERATORS[node.op].role != "matrix"
        }
        steps: dict[str, Step | None] = {}
        for attention in attention_chains(graph, keep):
            ops = {node.op for node in attention.middle}
            if ops - {"Mul", "Add"} or not _over_keys(graph, attention):
                continue
            steps |= dict.fromkeys(attention.nodes[:-1])
            steps[attention.nodes[-1]] = _attention(graph, attention)
        for function, times, other in gated_products(graph, keep):
            kernel = gated_kernel(graph, function, times)
            if kernel is not None:
                steps[function.name] = None
                steps[times.name] = _of_one(kernel, (function.inputs[0], other), times.outputs)
        own = steps | {n.name: self._step(graph, n) for n in graph.nodes if n.name not in steps}
        for chain in row_chains(graph, keep, lambda node: _joins(graph, node)):
            steps |= dict.fromkeys(chain)
            steps[chain[0]] = _in_row_blocks(graph, chain, own)
        return own | steps

    def _step(self, graph: Graph, node: Node) -> Step:
        output = graph.tensors[node.outputs[0]]
        rounding = _rounding(output.dtype)
        operator, attrs, count = OPERATORS[node.op], dict(node.attrs), len(node.outputs)
        kernel = operator.kernel
        if operator.only_moves:
            return Step(
                node.inputs, node.outputs, lambda *values: list(kernel(*values, **attrs)[:count])
            )
        if len(node.inputs) > 1 and graph.tensors[node.inputs[1]].dtype in STORED:
            linear = node.op == "Gemm" and node.attrs.get("transB") and not node.attrs.get("transA")
            if linear and node.inputs[1] not in self._plain:
                return Step(
                    node.inputs,
                    node.outputs,
                    lambda x, w, bias=None: [project(x, w, bias, output.dtype, self._scratch)],
                )
            if operator.role == "matrix":
                shape = graph.tensors[node.inputs[1]].shape

                def with_matrix(x: Array, w: Matrix | Array, *rest: Array) -> list[Array]:
                    full = w.dequantise().reshape(shape) if isinstance(w, Matrix) else w
                    return [rounding(np.array(kernel(x, full, *rest, **attrs)[0], order="C"))]

                return Step(node.inputs, node.outputs, with_matrix)
        loop = bf16_kernel(graph, node)
        if loop is not None:
            return _of_one(loop, node.inputs, node.outputs)
        if operator.by_row and output.elements >= _LARGE:

            def by_row(*values: Array) -> list[Array]:
                return [_by_row(lambda *v: kernel(*v, **attrs)[0], values, rounding, output.shape)]

            return Step(node.inputs, node.outputs, by_row)
        roundings = [_rounding(graph.tensors[n].dtype) for n in node.outputs]
        fresh = not operator.is_free  # not a view of an operand, which others read too

        def whole(*values: Array) -> list[Array]:
            results = kernel(*values, **attrs)[:count]
            return [
                each(np.ascontiguousarray(r) if fresh else np.array(r, order="C"))
                for each, r in zip(roundings, results, strict=True)
            ]

        return Step(node.inputs, node.outputs, whole)


def project(
    x: Array, w: Matrix | PackedMatrix, bias: Array | None, dtype: str, scratch: Scratch
) -> Array:
    """``x @ w.T + bias`` [T, out] for ``x`` [T, in], rounded to ``dtype``."""
    if isinstance(w, Matrix) and w.dtype == "s8":
        w = PackedMatrix(w, choose())
    if isinstance(w, PackedMatrix):
        y = product(x, w, bias, to_bf16=dtype == "bf16")
        return y if dtype == "bf16" else _rounding(dtype)(y)
    return _in_slices(x, w, bias, _rounding(dtype), scratch)


def _in_slices(x: Array, w: Matrix, bias: Array | None, rounding: Round, scratch: Scratch) -> Array:
    """:func:`project` in float32, for S4 by groups, bf16 and float32 weights.

    Only the stored codes are read from memory: slices of the matrix become float32 within a core's
    cache, or are converted one by one where ``x`` has few rows. Every thread takes
    slices of its own, with BLAS on that thread alone.
    """
    rows, inner = w.shape
    y = np.empty((x.shape[0], rows), np.float32)
    x = np.ascontiguousarray(x)
    workers = threads()
    few = x.shape[0] < _FEW_ROWS
    step = max(16, (_FEW_ROWS_SLICE if few else _WIDE_SLICE) // inner)
    step = -(-rows // (max(1, round(rows / (step * workers))) * workers))
    lines = max(1, _SLICE // (2 * step))

    def task(i: int) -> None:
        part = slice(i * step, min((i + 1) * step, rows))
        width = part.stop - part.start
        block = scratch.array("block", (x.shape[0], width), np.float32)
        if few:
            w.dots(x, part.start, part.stop, block)
        else:
            factors = scratch.array("factors", (width, inner), np.float32)
            w.rows(part.start, part.stop, out=factors)
            np.matmul(x, factors.T, out=block)
        for start in range(0, len(block), lines):
            warm = block[start : start + lines]
            if bias is not None:
                warm += bias[part]
            y[start : start + lines, part] = rounding(warm)

    parallel(-(-rows // step), task)
    return y


def _joins(graph: Graph, node: Node) -> bool:
    """Whether blocks of rows may go from one node to the next: products of S8 matrices among them,
    which are exact and need not be one large product."""
    if node.op == "Gemm":
        return graph.tensors[node.inputs[1]].dtype == "s8"
    return OPERATORS[node.op].by_row


def _of_one(kernel: Kernel, inputs: tuple[str, ...], outputs: tuple[str, ...]) -> Step:
    return Step(inputs, outputs, lambda *values: [kernel(*values)])


def _in_row_blocks(graph: Graph, chain: tuple[str, ...], own: Mapping[str, Step | None]) -> Step:
    """The steps of a chain's nodes, one after another on each block of rows."""
    steps = [step for name in chain if (step := own[name]) is not None]
    others = [step for name, step in own.items() if step is not None and name not in chain]
    made = dict.fromkeys(n for step in steps for n in step.outputs)
    inputs = tuple(dict.fromkeys(n for step in steps for n in step.inputs if n not in made))
    elsewhere = {n for step in others for n in step.inputs}
    outputs = tuple(n for n in made if n in elsewhere)
    rows = graph.tensors[steps[0].outputs[0]].shape[0]
    right = {node.inputs[1] for node in graph.nodes if node.name in chain and node.op == "Gemm"}
    cut = [n for n in inputs if n not in right and graph.tensors[n].shape[:-1] == (rows,)]
    whole = [n for n in inputs if n not in cut]
    last = {n: i for i, step in enumerate(steps) for n in (*step.inputs, *step.outputs)}
    dropped = [[n for n, at in last.items() if at == i] for i in range(len(steps))]

    def run(*values: Array) -> list[Array]:
        given = dict(zip(inputs, values, strict=True))
        out = {n: np.empty(graph.tensors[n].shape, np.float32) for n in outputs}

        def task(part: slice) -> None:
            held = {name: given[name] for name in whole}
            held |= {name: given[name][part] for name in cut}
            for step, names in zip(steps, dropped, strict=True):
                results = step.run(*(held[n] for n in step.inputs))
                held |= dict(zip(step.outputs, results, strict=True))
                for n in step.outputs:
                    if n in out:
                        out[n][part] = held[n]
                for n in names:
                    del held[n]

        for_rows(task, len(given[cut[0]]), _CHAIN_ROWS)
        return list(out.values())

    return Step(inputs, outputs, run)


def _attention(graph: Graph, chain: AttentionChain) -> Step:
    """Scores, scale, mask and softmax in float32; probabilities and context rounded."""
    extra = [node.inputs[1] for node in chain.middle]
    shape = graph.tensors[chain.tensors[-1]].shape
    keys = graph.tensors[chain.scores].shape[-1]
    soften = _softened(graph, chain)
    context = _rounding(graph.tensors[chain.tensors[-1]].dtype)
    multiply = OPERATORS["MatMul"].kernel
    step = max(1, _SLICE * shape[-2] // graph.tensors[chain.scores].elements)

    def attend(q: Array, k: Array, v: Array, operands: Sequence[Array]) -> Array:
        s: Array = np.ascontiguousarray(multiply(q, k)[0])
        soften(s, *operands)
        y: Array = context(np.ascontiguousarray(multiply(s, v)[0]))
        return y

    def run(q: Array, k: Array, v: Array, *operands: Array) -> list[Array]:
        if step >= shape[-2]:
            with one_blas_thread():  # whose own threads would go on looking for work meanwhile
                return [attend(q, k, v, operands)]
        # Laid out as [T, ..., d], so that merging the heads afterwards is a view.
        out = np.moveaxis(np.empty((shape[-2], *shape[:-2], shape[-1]), np.float32), 0, -2)
        k, v = np.ascontiguousarray(k), np.ascontiguousarray(v)

        def task(i: int) -> None:
            part = slice(i * step, (i + 1) * step)
            cut = [
                o[..., part, :] if o.ndim > 1 and o.shape[-2] == shape[-2] else o for o in operands
            ]
            reach = _reach(cut, keys)
            cut = [o[..., :reach] if o.ndim and o.shape[-1] == keys else o for o in cut]
            queries = np.ascontiguousarray(q[..., part, :])
            out[..., part, :] = attend(queries, k[..., :reach], v[..., :reach, :], cut)

        parallel(-(-shape[-2] // step), task)
        return [out]

    return Step((*chain.inputs, *extra), (chain.tensors[-1],), run)


def _softened(graph: Graph, chain: AttentionChain) -> Callable[..., object]:
    """What turns scores and the operands of ``chain.middle`` into probabilities, in place."""
    tokens, keys = graph.tensors[chain.scores].shape[-2:]
    dtype = graph.tensors[chain.softmax].dtype
    sizes = [graph.tensors[node.inputs[1]].elements for node in chain.middle]
    ops = [node.op for node in chain.middle]
    if dtype == "bf16" and ops == ["Mul", "Add"] and sizes == [1, tokens * keys]:

        def at_once(s: Array, scale: Array, mask: Array) -> None:
            allowed = np.ascontiguousarray(mask).reshape(s.shape[-2:])
            probabilities(s, scale.item(), allowed, _SMALLEST)

        return at_once
    functions = [{"Mul": np.multiply, "Add": np.add}[op] for op in ops]
    rounding = _rounding(dtype)

    def one_by_one(s: Array, *operands: Array) -> None:
        for function, operand in zip(functions, operands, strict=True):
            function(s, operand, out=s)
        soften(s, _SMALLEST)
        rounding(s)

    return one_by_one


def _reach(operands: Sequence[Array], keys: int) -> int:
    """Keys up to the last that any query of a block may see; all, when some query sees none.

    The probabilities of the others are exactly zero.
    """
    for operand in operands:
        if operand.ndim > 1 and operand.shape[-1] == keys:
            seen = operand > _MASKED
            if seen.any(axis=-1).all():
                return int(np.flatnonzero(seen.any(axis=tuple(range(seen.ndim - 1))))[-1]) + 1
    return keys


def _over_keys(graph: Graph, chain: AttentionChain) -> bool:
    axis = int(chain.normalise.attrs.get("axis", -1))
    return axis in (-1, len(graph.tensors[chain.scores].shape) - 1)


def _by_row(
    kernel: Callable[..., Array], values: Sequence[Array], rounding: Round, shape: tuple[int, ...]
) -> Array:
    """A kernel that treats rows (the first dimension) alone, on slices of them."""
    # A chain of rows hands over a slice of them.
    rows = max(v.shape[0] for v in values if v.ndim == len(shape))
    cut = [v.ndim == len(shape) and v.shape[0] == rows and rows > 1 for v in values]
    out = np.empty((rows, *shape[1:]), np.float32)

    def task(part: slice) -> None:
        out[part] = kernel(*(v[part] if c else v for v, c in zip(values, cut, strict=True)))
        rounding(out[part])

    for_rows(task, rows, max(1, _LARGE * rows // out.size))
    return out


def _rounding(dtype: str) -> Round:
    """Rounds a contiguous float32 array in place to the numbers of ``dtype``."""
    if dtype == "bf16":
        return lambda x: round_bf16(x, inplace=True)
    if dtype == "f16":

        def half(x: Array) -> Array:
            x[...] = x.astype(np.float16)
            return x

        return half
    return lambda x: x


_CHAIN_ROWS = 160  # at most: fewer and every weight is read more often
_LARGE = 1 << 16  # elements from which rows are spread over threads
_FEW_ROWS = 16
_MASKED = -60000.0  # the runtime masks with -65536; no score outweighs that
_SMALLEST = 1e-35
_FEW_ROWS_SLICE = 1 << 19  # elements: smaller ones are done before the threads can take turns
_WIDE_SLICE = 1 << 21  # elements: with many rows BLAS wants the matrix in few slices
_SLICE = 1 << 18  # elements: a MiB of float32, within a core's cache
