"""What to lift from U8 to U16: the trade of time for similarity."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

from axsim.graph.ir import Graph
from axsim.numerics.mixed import Group, Overrides, Proposal, lifted, propose
from axsim.study.precision import PLAIN, Analysis, OnStep

EVERYTHING = "*"
LIFTED = ("activation", "output")
MOST = 24
"""Groups of a network: each is timed once, and some are run."""

_LAYER = re.compile(r"layers\.\d+\.attn")  # of towers; other names are a file's own
_PARTS = re.compile(r"[/.]*[^/.]+[/.]*")  # with what separates it from the next


@dataclass(frozen=True)
class Lift:
    """A proposal with the time of one run in ms without it, with it, and all in U16."""

    proposal: Proposal
    target: float
    before_ms: float
    after_ms: float
    u16_ms: float


def lift(analysis: Analysis, target: float, on_step: OnStep = lambda step: None) -> Lift:
    """Which activations of a U8 vision part or network to lift to U16 for a cosine of
    ``target``."""
    groups = lift_groups(analysis.graph())
    losses = {group: _lost(analysis, group) for group in groups}

    def similarity(overrides: Overrides) -> float:
        on_step("trying U16 for " + (", ".join(merged(overrides, groups)) or "nothing"))
        return analysis.similarity(overrides)

    found = propose(losses, similarity, analysis.encode_ms, target)
    before, whole = analysis.encode_ms(PLAIN), analysis.encode_ms(lifted([EVERYTHING]))
    if found.patterns and found.cost_ms >= whole - before:
        reached = similarity(lifted([EVERYTHING]))
        found = Proposal((EVERYTHING,), reached, whole - before, reached >= target)
    found = replace(found, patterns=merged(found.patterns, groups))
    return Lift(found, target, before, before + found.cost_ms, whole)


def lift_groups(graph: Graph) -> list[Group]:
    """What to try: the residual stream, what is before and behind the layers, and in each layer the
    norms, attention and MLP; of a network from a file its modules.

    Layout operators hand codes on, so that a group holds them together with what made the codes.
    """
    layers = {n.name.split(".")[1] for n in graph.nodes if _LAYER.match(n.name)}
    if not layers:
        return _modules(graph)
    groups = [
        ("normalize.*",),
        ("*_embedding*",),
        ("layers.*.residual", "drop_class", "pixel_shuffle*"),
        ("layers.*.ls?",),
        ("mlp1.*",),
    ]
    for kind in ("norm?", "attn.[!r]*", "mlp.[!r]*"):
        groups += [(f"layers.{i}.{kind}",) for i in sorted(layers, key=int)]
    present = (tuple(p for p in group if any(_matched(graph, p))) for group in groups)
    return [group for group in present if group]


def _modules(graph: Graph) -> list[Group]:
    """A network's activations by what exporters call modules, as deep as there are ``MOST`` of them
    at most; where names tell no modules, in as many runs of neighbours."""
    names = list(_matched(graph, EVERYTHING))
    parts = {name: _PARTS.findall(name) for name in names}
    for depth in range(max(map(len, parts.values()), default=0), 0, -1):
        found: dict[str, None] = {}
        for name, pieces in parts.items():
            module = "".join(pieces[:depth])
            found[_exactly(module) + "*" if len(pieces) > depth else _exactly(name)] = None
        if len(found) <= MOST:
            return [(pattern,) for pattern in found] if len(found) > 1 else []
    step = -(-len(names) // MOST)
    starts = range(0, len(names), step)
    return [tuple(_exactly(name) for name in names[i : i + step]) for i in starts]


def _exactly(name: str) -> str:
    """The pattern that only ``name`` matches."""
    return re.sub(r"([*?[])", r"[\1]", name)


def merged(patterns: Iterable[str], groups: Iterable[Group]) -> tuple[str, ...]:
    """``patterns`` with those of one kind in all layers as one: ``layers.*.norm?``."""
    kinds: dict[str, list[str]] = {}
    for pattern in (p for group in groups for p in group):
        kinds.setdefault(_kind(pattern), []).append(pattern)
    chosen = list(patterns)
    for kind, each in kinds.items():
        if len(each) > 1 and all(p in chosen for p in each):
            chosen[chosen.index(each[0])] = kind
            chosen = [p for p in chosen if p not in each]
    return tuple(chosen)


def _kind(pattern: str) -> str:
    """A pattern for one layer as the one for all of them."""
    head, *rest = pattern.split(".", 2)
    return ".".join(["layers", "*", *rest[1:]]) if head == "layers" else pattern


def _matched(graph: Graph, pattern: str) -> Iterator[str]:
    """U8 activations that a pattern names."""
    for name, tensor in graph.tensors.items():
        if tensor.dtype == "u8" and tensor.kind in LIFTED and fnmatchcase(name, pattern):
            yield name


def _lost(analysis: Analysis, group: Group) -> float:
    """What a group is estimated to cost."""
    graph, losses = analysis.graph(), analysis.losses()
    names = {name for pattern in group for name in _matched(graph, pattern)}
    return sum(losses.get(name, 0.0) for name in names)
