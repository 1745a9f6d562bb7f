"""Names of a network's inputs, layers and operators that its build speaks of."""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatchcase

from axsim.compiler.partition import Deployment
from axsim.errors import InputError, Problem
from axsim.graph.ops import OPERATORS
from axsim.numerics.formats import OP_TYPE, is_type, names_in_network
from axsim.spec.diagnosis import nearest
from axsim.spec.preprocess import EVERY
from axsim.spec.pulsar2 import read_pulsar2


def check_names(deployment: Deployment) -> None:
    """Find out that a build speaks of what its network does not have.

    Raises:
        InputError: an input of ``build.preprocess`` or a pattern of ``build.precision_overrides``
            is none of the network; cited where it stands in Pulsar2's build configuration when it
            comes from there.
    """
    problems = tuple(_problems(deployment))
    if problems:
        raise InputError(problems)


def _problems(deployment: Deployment) -> Iterator[Problem]:
    build = deployment.workload.build
    if not (build.preprocess or build.precision_overrides) or deployment.network is None:
        return
    graph = deployment.network.graph
    said = read_pulsar2(build.pulsar2) if build.pulsar2 is not None else None
    inputs = EVERY, *graph.inputs
    for name in build.preprocess:
        if name not in inputs:
            where, key = said.inputs.get(name, _INPUTS) if said else _INPUTS
            what = f"{graph.name} has no input {name!r}"
            yield Problem(where, key, what, ", ".join(inputs), nearest(name, inputs))
    names = {name for each in names_in_network(graph).values() for name in each}
    for pattern in build.precision_overrides:
        if is_type(pattern) or any(fnmatchcase(name, pattern) for name in names):
            continue
        where, key = said.layers.get(pattern, _LAYERS) if said else _LAYERS
        if pattern.startswith(OP_TYPE):
            name, own = pattern.removeprefix(OP_TYPE), sorted({node.op for node in graph.nodes})
            what = f"there is no type of operators {name!r}"
            yield Problem(where, key, what, ", ".join(own), nearest(name, OPERATORS))
        else:
            what = f"no layer or activation of {graph.name} matches {pattern!r}"
            allowed = "names that axsim precision shows"
            near = nearest(pattern, sorted(n for n in names if not n.startswith(OP_TYPE)))
            yield Problem(where, key, what, allowed, near)


_INPUTS, _LAYERS = ("", "build.preprocess"), ("", "build.precision_overrides")
