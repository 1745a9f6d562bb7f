"""Which tensors to lift from U8 to U16 for a target similarity at the least cost."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate

Overrides = Mapping[str, str]
"""fnmatch patterns of tensor names and the dtype ("u8", "u16") of what they match."""

Group = tuple[str, ...]
"""Patterns of tensors that are lifted together."""


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
        """As :class:`~axsim.numerics.formats.VisionScheme` takes them."""
        return lifted(self.patterns)


def lifted(patterns: Iterable[str]) -> dict[str, str]:
    """Overrides that store what ``patterns`` match in U16."""
    return dict.fromkeys(patterns, "u16")


def propose(
    losses: Mapping[Group, float],
    similarity: Callable[[Overrides], float],
    cost_ms: Callable[[Overrides], float],
    target: float,
) -> Proposal:
    """The cheapest lift found that reaches ``target``.

    ``losses``: groups that share no tensor, and the similarity that each is estimated to cost (see
    :mod:`axsim.numerics.sensitivity`; only proportions matter).
    ``similarity(overrides)`` runs the graph so quantised; ``cost_ms(overrides)`` predicts its time.

    Groups are ranked by what they are estimated to gain per added millisecond. Runs find the
    shortest prefix of that ranking that reaches the target: each is of the length that the
    estimates, scaled by the runs so far, say will do. What can then be done without is taken out
    again, the dearest first. So there are about as many runs as bisection needs, and the result is
    one that was run. When even all groups miss the target, all of them are returned.
    """
    base, idle = similarity({}), cost_ms({})
    if base >= target or not losses:
        return Proposal((), base, 0.0, base >= target)
    price = {group: max(cost_ms(lifted(group)) - idle, 1e-6) for group in losses}
    ranking = sorted(losses, key=lambda group: -losses[group] / price[group])

    def run(groups: Iterable[Group]) -> float:
        return similarity(lifted(_flat(groups)))

    count, found = _prefix(
        [losses[group] for group in ranking], base, target, lambda n: run(ranking[:n])
    )
    chosen, best = ranking[:count], found[count]
    if met := best >= target:
        rate = (best - base) / sum(losses[group] for group in chosen)
        for group in sorted(chosen, key=lambda group: -price[group]):
            if best - rate * losses[group] < target:
                continue
            fewer = [each for each in chosen if each != group]
            reached = run(fewer)
            if reached >= target:
                chosen, best = fewer, reached
    patterns = _flat(chosen)
    return Proposal(patterns, best, cost_ms(lifted(patterns)) - idle, met)


def _flat(groups: Iterable[Group]) -> tuple[str, ...]:
    return tuple(pattern for group in groups for pattern in group)


def _prefix(
    gains: Sequence[float], base: float, target: float, run: Callable[[int], float]
) -> tuple[int, dict[int, float]]:
    """The least count of leading groups that reaches ``target``, or all of them, and the similarity
    of every count that was run. ``gains`` are estimates in any unit; 0 groups give ``base``."""
    sums = [0.0, *accumulate(gains)]
    found = {0: base}
    low, high = 0, len(sums)  # too few, and enough (or one more than there are)
    halve = False
    while (width := high - low) > 1:
        count = (low + high) // 2 if halve else _guess(sums, found, low, high, target)
        found[count] = run(count)
        low, high = (low, count) if found[count] >= target else (count, high)
        halve = high - low > width / 2  # the estimates were of no help
    return min(high, len(gains)), found


def _guess(
    sums: Sequence[float], found: Mapping[int, float], low: int, high: int, target: float
) -> int:
    """The least count between ``low`` and ``high`` that should do, going by the runs so far."""
    if high in found:
        rate = (found[high] - found[low]) / max(sums[high] - sums[low], 1e-30)
    elif low:
        rate = (found[low] - found[0]) / max(sums[low], 1e-30)
    else:  # as if all groups together gave a similarity of 1
        rate = (1 - found[0]) / max(sums[-1], 1e-30)
    between = range(low + 1, high)
    enough = (n for n in between if found[low] + rate * (sums[n] - sums[low]) >= target)
    return next(enough, between[-1])
