"""What to lift from U8 to U16: the trade of vision encode time for similarity."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

from axsim.graph.ir import Graph
from axsim.numerics.mixed import Group, Overrides, Proposal, lifted, propose
from axsim.study.precision import PLAIN, Analysis, OnStep

EVERYTHING = "*"


@dataclass(frozen=True)
class Lift:
    """A proposal with the vision encode time in ms without it, with it, and all in U16."""

    proposal: Proposal
    target: float
    before_ms: float
    after_ms: float
    u16_ms: float


def lift(analysis: Analysis, target: float, on_step: OnStep = lambda step: None) -> Lift:
    """Which activations of a U8 vision part to lift to U16 for a cosine of ``target``."""
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
    norms, attention and MLP.

    Layout operators hand codes on, so that a group holds them together with what made the codes.
    """
    layers = {n.name.split(".")[1] for n in graph.nodes if n.name.startswith("layers.")}
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
        if tensor.dtype == "u8" and tensor.kind == "activation" and fnmatchcase(name, pattern):
            yield name


def _lost(analysis: Analysis, group: Group) -> float:
    """What a group is estimated to cost."""
    graph, losses = analysis.graph(), analysis.losses()
    names = {name for pattern in group for name in _matched(graph, pattern)}
    return sum(losses.get(name, 0.0) for name in names)
