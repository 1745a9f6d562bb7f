"""Which tensors to lift from U8 to U16 for a target similarity at the least cost."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

Overrides = Mapping[str, str]
"""fnmatch patterns of tensor names and the dtype ("u8", "u16") of what they match."""


@dataclass(frozen=True, slots=True)
class Proposal:
    """``patterns`` to lift, in order of benefit per millisecond, the ``similarity`` reached, the
    added ``cost_ms``, and whether the target is ``met``."""

    patterns: tuple[str, ...]
    similarity: float
    cost_ms: float
    met: bool

    @property
    def overrides(self) -> dict[str, str]:
        """As :class:`~axsim.quantization.schemes.VisionScheme` takes them."""
        return dict.fromkeys(self.patterns, "u16")


def propose(
    groups: Sequence[str],
    similarity: Callable[[Overrides], float],
    cost_ms: Callable[[Overrides], float],
    target: float,
) -> Proposal:
    """The cheapest lift found that reaches ``target``.

    ``groups``: patterns, each lifted as a whole (for instance ``layers.3.mlp.*``).
    ``similarity(overrides)`` runs the graph so quantised; ``cost_ms(overrides)`` predicts its time.
    Groups are ranked by what lifting each alone gains per added millisecond; the shortest prefix
    of that ranking that reaches the target is found by bisection, and what the target can do
    without is taken out again, the dearest first. That makes ``len(groups)`` +
    log2(``len(groups)``) + 1 runs and one for each group of the prefix. When even all groups miss
    the target, all of them are returned.
    """
    base = similarity({})
    idle = cost_ms({})
    if base >= target or not groups:
        return Proposal((), base, 0.0, base >= target)

    def benefit(group: str) -> float:
        gain = similarity({group: "u16"}) - base
        return gain / max(cost_ms({group: "u16"}) - idle, 1e-6)

    ranking = sorted(groups, key=benefit, reverse=True)
    low, high, best = 0, len(ranking), similarity(dict.fromkeys(ranking, "u16"))
    met = best >= target
    while met and high - low > 1:
        middle = (low + high) // 2
        found = similarity(dict.fromkeys(ranking[:middle], "u16"))
        if found >= target:
            high, best = middle, found
        else:
            low = middle
    chosen = ranking[:high]
    for group in sorted(chosen, key=lambda g: -cost_ms({g: "u16"})) if met else ():
        fewer = [g for g in chosen if g != group]
        found = similarity(dict.fromkeys(fewer, "u16"))
        if found >= target:
            chosen, best = fewer, found
    patterns = tuple(chosen)
    return Proposal(patterns, best, cost_ms(dict.fromkeys(patterns, "u16")) - idle, met)
