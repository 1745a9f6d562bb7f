"""How far quantised results are from float32, per operator and end to end.

As the vendor's precision analysis: ``EndToEnd`` lets errors build up along the
graph, ``PerLayer`` gives every operator the float32 inputs, so that it shows the operator's own
error. Advice of the vendor's guide: a final cosine above 0.98 is usable; an operator below 0.999
is one to lift to U16.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from math import inf, log10, sqrt
from typing import Any, Literal, NamedTuple

import numpy as np

from axsim.graph.clamps import absorbed
from axsim.graph.ir import Graph, Node
from axsim.graph.ops import OPERATORS
from axsim.kernels.array import Array
from axsim.kernels.parallel import parallel
from axsim.numerics.steps import Arithmetic, Weights

Mode = Literal["EndToEnd", "PerLayer"]


@dataclass(frozen=True, slots=True)
class Precision:
    """One tensor compared with float32. ``sqnr_db``: signal to noise, infinite when equal."""

    node: str
    op: str
    tensor: str
    shape: tuple[int, ...]
    dtype: str
    cosine: float
    sqnr_db: float
    max_error: float


class Errors(NamedTuple):
    """How far a tensor is from its float32 reference."""

    cosine: float
    """Cosine similarity; 1 when both are all zero, 0 when one is."""
    sqnr_db: float
    """Signal to quantisation noise ratio, 10 log10(sum reference^2 / sum error^2)."""
    max_error: float
    """Largest absolute difference."""


def errors(reference: Array, found: Array) -> Errors:
    """All errors of ``found`` at once; both of one size, sums in float64."""
    a, b = _flat(reference), _flat(found)
    sums = np.zeros((-(-a.size // _BLOCK), 5))

    def task(index: int) -> None:
        part = slice(index * _BLOCK, (index + 1) * _BLOCK)
        x, y = a[part].astype(np.float64), b[part].astype(np.float64)
        products = x @ x, y @ y, x @ y
        x -= y
        sums[index] = *products, x @ x, np.abs(x).max()

    parallel(len(sums), task)
    signal, energy, product, noise = sums[:, :4].sum(axis=0).tolist()
    norms = sqrt(signal) * sqrt(energy)
    same = 1.0 if signal == energy else 0.0
    quotient = signal / noise if noise else inf  # 0 beside infinite noise, too
    ratio = 10 * log10(quotient) if quotient else -inf
    return Errors(product / norms if norms else same, ratio, float(sums[:, 4].max(initial=0)))


def cosine(reference: Array, found: Array) -> float:
    """See :class:`Errors`."""
    return errors(reference, found).cosine


def compare(
    graph: Graph,
    weights: Weights,
    arithmetic: Arithmetic,
    inputs: Mapping[str, Array],
    *,
    stored: Weights | None = None,
    found: Mapping[str, Array] | None = None,
    outputs: dict[str, tuple[Array, Array]] | None = None,
    mode: Mode = "EndToEnd",
    watch: Callable[[str, Array], None] | None = None,
) -> list[Precision]:
    """Every operator's floating output under ``arithmetic`` beside float32, in graph order.

    ``weights`` gives float32 weights, ``stored`` those for ``arithmetic`` (default: the same).
    ``found`` gives the inputs of the run under ``arithmetic`` where they are others than those of
    float32; ``outputs`` is filled with the graph's outputs, (float32, found), by name.
    Attention is not merged, so scores and probabilities are compared too. ``watch`` is told each
    tensor of the float32 run, inputs and constants included. Layout operators are left out: they
    have no error of their own. So are operators whose result a limit is absorbed into: what is
    stored is the limit's.
    """
    floating = {n for n, t in graph.tensors.items() if t.kind in ("activation", "output")}
    steps = arithmetic.steps(graph, floating)
    limited = absorbed(graph)
    values: dict[str, Any] = {}
    for name in graph.inputs:
        values[name] = arithmetic.feed(graph.tensors[name], (found or inputs)[name])
    rows = []
    for node, operands, results, dead in _reference(graph, weights, inputs):
        if watch is not None:
            for name, value in {**operands, **results}.items():
                watch(name, value)
        step = steps[node.name]
        assert step is not None, f"{node.name} is merged although its output is kept"
        taken = []
        for name in step.inputs:
            tensor = graph.tensors[name]
            if tensor.kind == "weight":
                taken.append(arithmetic.load(tensor, stored or weights))
            elif tensor.kind == "constant":
                taken.append(arithmetic.feed(tensor, graph.values[name]()))
            elif mode == "PerLayer":
                taken.append(arithmetic.feed(tensor, operands[name]))
            else:
                taken.append(values[name])
        for name, value in zip(step.outputs, step.run(*taken), strict=True):
            values[name] = value
            tensor, expected = graph.tensors[name], results[name]
            if outputs is not None and name in graph.outputs:
                outputs[name] = expected, arithmetic.fetch(tensor, value)
            if OPERATORS[node.op].role == "view" or expected.dtype.kind != "f" or name in limited:
                continue
            real = arithmetic.fetch(tensor, value)
            found_errors = errors(expected, real)
            rows.append(
                Precision(node.name, node.op, name, tensor.shape, tensor.dtype, *found_errors)
            )
        for name in dead:
            values.pop(name, None)
    return rows


def worst_first(rows: Iterable[Precision]) -> list[Precision]:
    """Sorted by signal to noise, the noisiest first."""
    return sorted(rows, key=lambda row: row.sqnr_db)


def _reference(
    graph: Graph, weights: Weights, inputs: Mapping[str, Array]
) -> Iterator[tuple[Node, dict[str, Array], dict[str, Array], list[str]]]:
    """Run in float32; per node its operands, its outputs and the tensors now needed no more."""
    left = Counter(name for node in graph.nodes for name in set(node.inputs))
    values = {n: a if a.dtype.kind in "iub" else a.astype(np.float32) for n, a in inputs.items()}
    for node in graph.nodes:
        operands = {}
        for name in node.inputs:
            kind = graph.tensors[name].kind
            if kind == "weight":
                operands[name] = weights(name)
            else:
                operands[name] = graph.values[name]() if kind == "constant" else values[name]
        results = OPERATORS[node.op].kernel(*(operands[n] for n in node.inputs), **node.attrs)
        outputs = dict(zip(node.outputs, results, strict=False))
        values |= outputs
        for name in set(node.inputs):
            left[name] -= 1
        dead = [n for n in {*node.inputs, *node.outputs} if not left[n]]
        for name in dead:
            values.pop(name, None)
        yield node, operands, outputs, dead


def _flat(x: Array) -> Array:
    return np.asarray(x, np.float32).reshape(-1)


_BLOCK = 1 << 15  # elements: 256 KB of float64, and as much again, within a core's cache
