"""Quantisation parameters of activations, from float32 runs on calibration inputs."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager

import numpy as np

from axsim.errors import InputError
from axsim.graph.clamps import absorbed
from axsim.graph.ir import Graph, Node, Tensor
from axsim.graph.ops import OPERATORS
from axsim.graph.own_integers import own_integers
from axsim.kernels.array import Array
from axsim.kernels.parallel import parallel
from axsim.kernels.qparams import QParams, asymmetric
from axsim.kernels.rowwise import exponentials
from axsim.numerics.chains import AttentionChain, attention_chains
from axsim.numerics.float32 import Float32
from axsim.numerics.observers import MinMax, Observer
from axsim.numerics.steps import Step

QUANTISED = frozenset({"u8", "u16"})
"""Storage dtypes of activations that need quantisation parameters."""


class Calibration(Float32):
    """Float32 arithmetic that also observes every activation of the graph it runs.

    Give it to an :class:`~axsim.numerics.executor.Executor`, run one or more calibration inputs
    (one of them may be the reference run itself), then ask :meth:`qparams`, for U8 and U16 alike.
    ``observer``: makes the observer of one tensor (see :mod:`axsim.numerics.observers`).
    """

    def __init__(self, observer: Callable[[], Observer] = MinMax) -> None:
        super().__init__()
        self._make = observer
        self.observers: dict[str, Observer] = {}

    def feed(self, tensor: Tensor, array: Array) -> Array:
        """The float32 value, whose range is observed where it is an input of the network."""
        value = super().feed(tensor, array)
        if tensor.kind == "input" and value.dtype.kind == "f":
            self._observe(tensor.name, value)
        return value

    def steps(self, graph: Graph, keep: Collection[str]) -> Mapping[str, Step | None]:
        """The float32 steps, each of which shows its outputs to their observers."""
        shown = {n for n, t in graph.tensors.items() if t.kind in ("activation", "output")}
        shown -= absorbed(graph, keep).keys()
        made = producers(graph)
        shown -= {n for n in shown if inherited(graph, made.get(n)) is not None}
        steps = super().steps(graph, {*keep, *shown})
        result = {n: None if s is None else self._observed(s, shown) for n, s in steps.items()}
        if self._make is MinMax:
            for chain in attention_chains(graph, keep):
                if not chain.middle and len(graph.tensors[chain.scores].shape) == 3:
                    result |= dict.fromkeys(chain.nodes[:-1])
                    result[chain.nodes[-1]] = self._attention(chain, shown)
        return result

    def _attention(self, chain: AttentionChain, shown: Collection[str]) -> Step:
        """Attention whose scores stay in cache: only their extremes are needed."""
        ranges = chain.scores, chain.softmax

        def run(q: Array, k: Array, v: Array) -> list[Array]:
            context, extremes = ranged_attention(q, k, v)
            for name, values in zip(ranges, extremes, strict=True):
                self._observe(name, values)
            return [context]

        return self._observed(Step(chain.inputs, chain.tensors[-1:], run), shown)

    def _observed(self, step: Step, shown: Collection[str]) -> Step:
        def run(*values: Array) -> list[Array]:
            outputs = list(step.run(*values))
            for name, output in zip(step.outputs, outputs, strict=True):
                if name in shown and output.dtype.kind == "f":
                    self._observe(name, output)
            return outputs

        return Step(step.inputs, step.outputs, run)

    def _observe(self, name: str, values: Array) -> None:
        with _finite(name):
            self.observers.setdefault(name, self._make()).update(values)

    def qparams(self, graph: Graph) -> dict[str, QParams]:
        """Parameters of every U8 or U16 activation of ``graph``, whose dtypes are assigned.

        Layout operators and products with a positive scalar keep their input's codes, so their
        outputs inherit its parameters; integers of the network itself have none. Raises ValueError
        naming activations never observed, and InputError for one whose values are not finite.
        """
        result: dict[str, QParams] = {}
        limited = absorbed(graph)
        for name in graph.inputs:
            if graph.tensors[name].dtype in QUANTISED and name in self.observers:
                dtype = graph.tensors[name].dtype
                with _finite(name):
                    result[name] = asymmetric(*self.observers[name].range(dtype), dtype)
        whole = own_integers(graph, result)
        missing: list[str] = []
        producer = producers(graph)
        for node in graph.nodes:
            source_of = inherited(graph, node)
            for name in node.outputs:
                tensor = graph.tensors[name]
                if tensor.dtype not in QUANTISED:
                    continue
                source = result.get(source_of[0]) if source_of else None
                if source_of and source is not None and source.dtype == tensor.dtype:
                    factor = source_of[1]
                    result[name] = source if factor == 1.0 else source.scaled(factor)
                    continue
                # The values were seen where they were made, before views and factors.
                observed, scale = name, 1.0
                while (above := inherited(graph, producer.get(observed))) is not None:
                    observed, scale = above[0], scale * above[1]
                observer = self.observers.get(limited.get(observed, observed))
                if observer is None:
                    missing += [] if name in whole else [name]
                    continue
                with _finite(name):
                    low, high = observer.range(tensor.dtype)
                    result[name] = asymmetric(low * scale, high * scale, tensor.dtype)
        if missing:
            names = ", ".join(missing[:5])
            raise ValueError(f"{len(missing)} activations were never observed: {names}, …")
        return result


@contextmanager
def _finite(name: str) -> Iterator[None]:
    """InputError where a tensor's values have no range."""
    try:
        yield
    except ValueError as error:
        what = f"{name} has no range that could be quantised ({error}): with these weights and "
        raise InputError(f"{what}inputs activations overflow") from None


def ranged_attention(q: Array, k: Array, v: Array) -> tuple[Array, tuple[Array, Array]]:
    """``softmax(q @ k) @ v`` in float32, [heads, T, d], with arrays that hold the extremes of the
    scores and of the probabilities (whose lower bound is given as 0)."""
    heads, tokens, _ = q.shape
    out = np.empty((heads, tokens, v.shape[2]), np.float32)
    step = 128
    blocks = -(-tokens // step)
    scores = np.empty((heads * blocks, 2), np.float32)
    largest = np.empty(heads * blocks, np.float32)

    def task(i: int) -> None:
        head, block = divmod(i, blocks)
        rows = slice(block * step, (block + 1) * step)
        s = np.ascontiguousarray(q[head, rows]) @ k[head]
        scores[i] = s.min(), s.max()
        total = exponentials(s)[:, None]  # the largest of each row becomes 1
        largest[i] = 1 / total.min()
        np.divide(s @ v[head], total, out=out[head, rows])

    parallel(heads * blocks, task)
    return out, (scores, np.append(largest, np.float32(0)))


def inherited(graph: Graph, node: Node | None) -> tuple[str, float] | None:
    """The activation whose codes the node's outputs keep, and the factor on their scale."""
    if node is None or graph.tensors[node.inputs[0]].kind in ("weight", "constant", "input"):
        return None
    if OPERATORS[node.op].keeps_codes(node.attrs):
        return node.inputs[0], 1.0
    if node.op == "Mul" and graph.tensors[node.inputs[1]].kind == "constant":
        tensor = graph.tensors[node.inputs[1]]
        if tensor.elements == 1:
            factor = float(graph.values[tensor.name]().reshape(()))
            return (node.inputs[0], factor) if factor > 0 else None
    return None


def producers(graph: Graph) -> dict[str, Node]:
    """The node that makes each tensor."""
    return {name: node for node in graph.nodes for name in node.outputs}
