"""Intervals of predictions, from the errors of rows that were left out, never from the fit.

The half-width of a chip and group (:mod:`axsim.fidelity.groups`) is Student's t times the root of a
sum of three variances:

* how wrong architectures were predicted that the fit had not seen, each counting once. Where few
  were measured, the group's errors on all chips count as ``PRIOR`` more of them;
* the noise between sources, ``NOISE``;
* what the parameters' uncertainty makes of a prediction of this group.

Errors are not normal, and those of one architecture hang together. So where a group has ``ENOUGH``
rows, its widths are scaled, on all chips alike and as little as possible, until they hold between
90 and 96 % of what was left out.

A chip that nobody measured, or that differs from the one that was in any number, also has the error
that measured chips have with the calibrated values of others, and is never surer than these. A
regime without an anchor in the ledger (:mod:`axsim.fidelity.regime`) has the error of its group and
beside it, independent of that, one as large as that of the chip's widest group: the root of the sum
of their squares, which is wider than either. Networks from files vouch for networks alone.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from axsim.fidelity.groups import group
from axsim.fidelity.left_out import LeftOut, shipped_left_out
from axsim.fidelity.prediction import Interval
from axsim.fidelity.regime import Regime, regime_of_metric, unanchored
from axsim.fidelity.surroundings import over_link, turns
from axsim.spec.chip import Chip, load_chip
from axsim.spec.descriptor import shipped

if TYPE_CHECKING:
    from axsim.compiler.partition import Deployment
    from axsim.system.request_timeline import RequestTimeline

LEVEL = 0.90
"""Share of true values that an interval is meant to hold."""
NOISE = 0.03
"""Relative error of a measurement: sources differ by 2 to 7 % on one configuration."""
PRIOR = 2
"""Architectures that a group's errors on all chips count as, beside those of the chip."""
ENOUGH = 10
"""Rows left out that a group needs for its widths to be scaled by their coverage."""
FEWEST, MOST = 0.90, 0.96
"""Shares of the rows left out that scaled widths hold at least and at most."""
LEAST = 0.03
"""A half-width at least: the noise between sources."""
WIDEST = 0.95
"""A half-width at most: no time is negative."""
STUDENT = (6.31, 2.92, 2.35, 2.13, 2.02, 1.94, 1.90, 1.86, 1.83)
"""95 % quantiles of Student's t with 1 to 9 degrees of freedom; beyond, 1.645 + 1.6 / n."""


class Expected(NamedTuple):
    """An interval, and why its regime is extrapolated; empty when the ledger anchors it."""

    interval: Interval
    extrapolated: str


class Evidence:
    """Widths of intervals by what ``rows`` left out say."""

    def __init__(self, rows: Sequence[LeftOut]) -> None:
        self._rows = rows
        self.chips = tuple(sorted({row.chip for row in rows}))
        self._anchors: dict[str | None, list[Regime]] = {None: [row.regime for row in rows]}
        for row in rows:
            self._anchors.setdefault(row.chip, []).append(row.regime)
        self._squares = _by_fold(rows, "left_out")
        self._transferred = _by_fold(rows, "other_chip")
        self._groups = {row.group for row in rows if row.group != "compiler"}
        self._widths: dict[tuple[str | None, str, str | None], float] = {}
        self._expected: dict[tuple[str | None, Regime, str | None], Expected] = {}
        self._scales: dict[str, float] = {}

    def expect(self, chip: str | None, regime: Regime, without: str | None = None) -> Expected:
        """The interval of a prediction of ``regime`` on a measured chip, or on one that nobody
        measured when ``chip`` is None. Its width is that without the architecture ``without``."""
        key = (chip, regime, without)
        if key not in self._expected:
            reason = unanchored(regime, self._anchors[chip])
            width = self.half_width(chip, regime.group, without)
            if reason:
                width = self.unvouched(chip, regime.group, without)
            self._expected[key] = Expected(Interval(-width, width), reason)
        return self._expected[key]

    def unvouched(self, chip: str | None, kind: str, without: str | None = None) -> float:
        """The half-width of what nothing anchors: the group's own and the widest of the chip's,
        added as errors that are independent; networks from files vouch for networks alone."""
        kinds = sorted(self._groups - {"graph"} | {kind})
        widest = max(self.half_width(chip, each, without) for each in kinds)
        return min(WIDEST, math.hypot(self.half_width(chip, kind, without), widest))

    def half_width(self, chip: str | None, kind: str, without: str | None = None) -> float:
        """Of one chip and group, whatever the regime."""
        key = (chip, kind, without)
        if key not in self._widths:
            if chip is None:
                widths = [self.half_width(measured, kind) for measured in self.chips]
                widths.append(self._width(self._transferred, None, kind, None))
            else:
                widths = [self._scale(kind) * self._width(self._squares, chip, kind, without)]
            self._widths[key] = min(WIDEST, max(LEAST, *widths))
        return self._widths[key]

    def _scale(self, kind: str) -> float:
        if kind not in self._scales:
            ratios = sorted(
                abs(math.expm1(-row.left_out))
                / self._width(self._squares, row.chip, kind, row.architecture)
                for row in self._rows
                if row.group == kind
            )
            self._scales[kind] = coverage_scale(ratios) if len(ratios) >= ENOUGH else 1.0
        return self._scales[kind]

    def _width(self, squares: _Squares, chip: str | None, kind: str, without: str | None) -> float:
        kept = {key: square for key, square in squares.items() if key[::2] != (chip, without)}
        own = [
            square for (of, group_of, _), square in kept.items() if (of, group_of) == (chip, kind)
        ]
        same = [square for (_, group_of, _), square in kept.items() if group_of == kind]
        prior = _mean(same or list(kept.values()))
        error = (PRIOR * prior + sum(own)) / (PRIOR + len(own))
        return student(PRIOR + len(own)) * math.sqrt(error + NOISE**2 + self._spread(chip, kind))

    def _spread(self, chip: str | None, kind: str) -> float:
        """The mean variance that the parameters' uncertainty makes."""
        return _mean(
            [row.spread**2 for row in self._rows if chip in (None, row.chip) and row.group == kind]
        )


_Squares = Mapping[tuple[str, str, str], float]
"""The mean square error of each chip, group and architecture."""


def _by_fold(rows: Iterable[LeftOut], field: str) -> _Squares:
    squares: dict[tuple[str, str, str], list[float]] = defaultdict(list)
    for row in rows:
        error = getattr(row, field)
        if error == error:  # not NaN
            squares[row.chip, row.group, row.architecture].append(error**2)
    return {key: _mean(values) for key, values in squares.items()}


def coverage_scale(ratios: Sequence[float]) -> float:
    """What widths are to be multiplied by so that of ``ratios``, errors over widths in ascending
    order, between ``FEWEST`` and ``MOST`` are at most 1: as close to 1 as can be."""
    most = int(MOST * len(ratios))
    while most and ratios[most - 1] > 0.999 * ratios[most]:
        most -= 1  # equal errors are inside together or outside together
    shrunk = math.sqrt(ratios[max(0, most - 1)] * ratios[most])
    enough = ratios[math.ceil(FEWEST * len(ratios)) - 1] * (1 + 1e-6)
    return max(enough, 1.0 if ratios[most] > 1 else shrunk)


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0


def student(freedom: int) -> float:
    """The quantile of Student's t that an interval of ``LEVEL`` has, degrees of freedom given."""
    return STUDENT[freedom - 1] if freedom <= len(STUDENT) else 1.645 + 1.6 / freedom


@lru_cache(maxsize=1)
def shipped_evidence() -> Evidence:
    """What the shipped rows left out say."""
    return Evidence(shipped_left_out())


def measured_name(chip: Chip) -> str | None:
    """The name of ``chip``'s silicon among those measured; None when the ledger has no rows of it,
    or when a number that times depend on is not the shipped one's. The link is judged apart."""
    shipped_one = _shipped(chip.silicon) if chip.silicon in shipped_evidence().chips else None
    return chip.silicon if shipped_one is not None and chip.times_as(shipped_one) else None


@lru_cache(maxsize=16)
def _shipped(name: str) -> Chip | None:
    path = shipped("chip").get(name)
    return None if path is None else load_chip(path)


def expectations(deployment: Deployment, request: RequestTimeline) -> Callable[[str], Expected]:
    """The intervals of a deployment's predictions, by metric.

    A picture and a prompt are wrong together, by the same clock and the same DRAM: the relative
    widths of both are weighted with their shares of the time. What a link and engines by turns
    leave open comes on top (:mod:`axsim.fidelity.surroundings`).
    """
    evidence, chip = shipped_evidence(), measured_name(deployment.chip)
    doubt = turns(deployment)

    def of(metric: str) -> Expected:
        if metric != "image_to_first_token_ms":
            regime = regime_of_metric(deployment, group(metric))
            found = evidence.expect(chip, regime)
            if not doubt:
                return found
            width = evidence.unvouched(chip, regime.group)
            reason = "; ".join(filter(None, (doubt, found.extrapolated)))
            return Expected(Interval(-width, width), reason)
        vision, prompt = of("vision_encode_ms"), of("ttft_ms")
        share = 1 - request.ttft_ms / request.image_to_first_token_ms
        width = share * vision.interval.high + (1 - share) * prompt.interval.high
        reasons = dict.fromkeys(filter(None, (vision.extrapolated, prompt.extrapolated)))
        return Expected(Interval(-width, width), "; ".join(reasons))

    def in_its_place(metric: str) -> Expected:
        found = of(metric)
        interval, why = over_link(found.interval, deployment, metric, request)
        return Expected(interval, "; ".join(filter(None, (found.extrapolated, why))))

    return of if deployment.link is None else in_its_place
