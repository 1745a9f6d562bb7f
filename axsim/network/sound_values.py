"""Whether a network's own numbers are numbers."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod

import numpy as np

from axsim.errors import InputError, Problem
from axsim.graph.ops import OPERATORS
from axsim.kernels.array import Array
from axsim.network.network import Derived, Network

_LIMITS = frozenset({"Max", "Min", "Clip", "Where", "Equal", "Greater", "GreaterOrEqual"}) | {
    "Less",
    "LessOrEqual",
}
"""Operators whose result may be finite although an operand is infinite."""
_SUMS = frozenset({"Add", "Sub"})
"""Operators that masks of attention are infinite for: an exponential follows, which takes it."""


def check_values(network: Network, file: str, quantised: bool) -> None:
    """Find out before a run that it would compute no numbers.

    A value that is no number (NaN) is refused wherever it stands; an infinite one where it is no
    limit and no mask, and where it is a mask if sums are to be ``quantised``.

    Raises:
        InputError: naming the weights of ``file`` and how many of their values are wrong.
    """
    problems = tuple(dict.fromkeys(_problems(network, file, quantised)))
    if problems:
        raise InputError(problems)


def _problems(network: Network, file: str, quantised: bool) -> Iterator[Problem]:
    graph = network.graph
    finite: set[str] = set()
    for node in graph.nodes:
        mask = node.op in _LIMITS or (node.op in _SUMS and not quantised)
        if not mask and OPERATORS[node.op].role in ("matrix", "norm", "elementwise"):
            finite.update(node.inputs)
    for name, tensor in graph.tensors.items():
        if tensor.kind not in ("weight", "constant") or tensor.dtype != "f32":
            continue
        values = network.weight(name) if tensor.kind == "weight" else graph.values[name]()
        if not _wrong(values, name in finite):
            continue
        stored = [n for n in _beneath(network, name) if _wrong(network.weight(n), name in finite)]
        for each in stored or [name]:
            found = network.weight(each) if each in network.sources else values
            yield Problem(file, "", _words(each, found))


def _wrong(values: Array, finite: bool) -> bool:
    if values.dtype.kind != "f":
        return False
    with np.errstate(all="ignore"):
        if np.isfinite(values.sum()):
            return False
    return not np.isfinite(values).all() if finite else bool(np.isnan(values).any())


def _beneath(network: Network, name: str) -> Iterator[str]:
    """The arrays of the file that a weight is made from."""
    source = network.sources.get(name)
    if isinstance(source, Derived):
        for each in source.inputs:
            yield from _beneath(network, each)
    elif source is not None:
        yield name


def _words(name: str, values: Array) -> str:
    counts = {"NaN": np.isnan(values).sum(), "Inf": np.isinf(values).sum()}
    told = " and ".join(f"{int(count):,} {word}" for word, count in counts.items() if count)
    return f"weight {name} holds {told} among its {prod(values.shape):,} values"
