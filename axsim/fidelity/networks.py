"""The numbers that only networks from files need, chosen by what networks measure, and what that
choice is worth on networks that it has not seen.

They are few and coarse (pixels that an array takes at a time, bands of a map), so they are chosen
from short lists: the choice of least squared log error over all rows, each row counting once. The
search starts in the middle of the lists and changes one number at a time until none helps, so that
the same rows give the same choice. (From either end of the lists it comes to the same one.)
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from axsim.errors import InputError, Problem
from axsim.fidelity.cross_validation import transferred
from axsim.fidelity.ledger import Measurement
from axsim.fidelity.left_out import DIGITS, LeftOut
from axsim.fidelity.predict import compare
from axsim.fidelity.regime import regime_of
from axsim.spec.chip import Chip, NetworksSection

CHOICES: Mapping[str, tuple[float, ...]] = {
    "pixels": (2, 4, 8, 16, 32),
    "depthwise_columns": (4, 8, 16, 32, 64),
    "bands": (4, 6, 8, 12, 16),
    "halo": (0.0, 0.25, 0.5, 0.75, 1.0),
    "banded_issue": (0.5, 1.0, 2.0, 3.0, 4.0),
}
"""By field of :class:`axsim.spec.chip.NetworksSection`, ascending; octaves around the middle where
nothing else is known."""

Choice = tuple[float, ...]
"""A value of each of :data:`CHOICES`, in their order."""


@dataclass(frozen=True)
class NetworksFold:
    """The rows of one network, log(predicted / measured) by id: ``fitted`` by the choice that all
    networks make, ``left_out`` by ``choice``, that of all others."""

    network: str
    choice: NetworksSection
    fitted: Mapping[str, float]
    left_out: Mapping[str, float]


class NetworksFit:
    """Choices for ``rows`` of ``graph_ms``, on ``chips`` by name. Every choice is simulated once.

    Raises:
        InputError: a row cannot be predicted, or is of another metric.
    """

    def __init__(
        self,
        rows: Sequence[Measurement],
        chips: Mapping[str, Chip],
        graphs: Path | None = None,
        on_progress: Callable[[int], None] = lambda count: None,
    ) -> None:
        other = [row.id for row in rows if row.metric != "graph_ms"]
        if other:
            raise InputError(Problem("", "metric", f"row {other[0]} is no graph_ms"))
        self.rows = tuple(rows)
        self._chips, self._graphs, self._on_progress = chips, graphs, on_progress
        self._known: dict[Choice, tuple[float, ...]] = {}

    def ratios(self, choice: Choice, chips: Mapping[str, Chip] | None = None) -> tuple[float, ...]:
        """log(predicted / measured) of each row; on other ``chips`` than those of the fit if
        given."""
        if chips is None:
            if choice not in self._known:
                self._known[choice] = self.ratios(choice, self._chips)
                self._on_progress(1)
            return self._known[choice]
        changed = {name: with_networks(chip, section(choice)) for name, chip in chips.items()}
        found = []
        for each in compare(self.rows, {}, changed, self._graphs):
            if each.predicted is None:
                raise InputError(Problem(each.row.id, "", each.reason))
            found.append(math.log(each.predicted / each.row.value))
        return tuple(found)

    def choose(self, counts: Callable[[Measurement], bool] = lambda row: True) -> Choice:
        """The choice of the rows that count."""
        kept = [index for index, row in enumerate(self.rows) if counts(row)]

        def wrong(choice: Choice) -> float:
            ratios = self.ratios(choice)
            return sum(ratios[index] ** 2 for index in kept)

        best = tuple(values[len(values) // 2] for values in CHOICES.values())
        while True:
            before = best
            for place, values in enumerate(CHOICES.values()):
                others = [(*best[:place], value, *best[place + 1 :]) for value in values]
                best = min([best, *others], key=wrong)
            if best == before:
                return best

    def folds(self) -> list[NetworksFold]:
        """Each network predicted by the choice of the others."""
        whole = self.ratios(self.choose())
        found = []
        for network in dict.fromkeys(row.model for row in self.rows):
            choice = self.choose(lambda row, own=network: row.model != own)  # type: ignore[misc]
            ratios = self.ratios(choice)
            own = [(i, row.id) for i, row in enumerate(self.rows) if row.model == network]
            found.append(
                NetworksFold(
                    network,
                    section(choice),
                    {name: whole[i] for i, name in own},
                    {name: ratios[i] for i, name in own},
                )
            )
        return found

    def left_out_rows(self, shipped: NetworksSection) -> list[LeftOut]:
        """The errors of every row, for ``measurements/left_out.csv``: by the ``shipped`` numbers,
        by those that the other networks choose, and on a chip that nobody measured, with the other
        chips' rows and calibrated values."""
        fitted = self.ratios(values_of(shipped))
        left_out = {name: x for fold in self.folds() for name, x in fold.left_out.items()}
        elsewhere: dict[str, float] = {}
        for name, chip in self._chips.items():
            others = [each for other, each in self._chips.items() if other != name]
            if not others or not any(row.chip == name for row in self.rows):
                continue
            choice = self.choose(lambda row, own=name: row.chip != own)  # type: ignore[misc]
            ratios = self.ratios(choice, {**self._chips, name: transferred(chip, others)})
            elsewhere |= {
                row.id: x for row, x in zip(self.rows, ratios, strict=True) if row.chip == name
            }
        return [
            LeftOut(
                row.id,
                row.chip,
                row.model,
                *regime_of(row, {}),
                round(ratio, DIGITS),
                round(left_out[row.id], DIGITS),
                round(elsewhere.get(row.id, math.nan), DIGITS),
                0.0,
            )
            for row, ratio in zip(self.rows, fitted, strict=True)
        ]


def section(choice: Choice) -> NetworksSection:
    """The numbers of a choice."""
    values = dict(zip(CHOICES, choice, strict=True))
    whole = ("pixels", "depthwise_columns", "bands")
    return NetworksSection(**{n: int(v) if n in whole else v for n, v in values.items()})  # type: ignore[arg-type]


def values_of(networks: NetworksSection) -> Choice:
    """The inverse of :func:`section`."""
    return tuple(float(getattr(networks, name)) for name in CHOICES)


def with_networks(chip: Chip, networks: NetworksSection) -> Chip:
    """``chip`` with other numbers for networks."""
    npu = chip.npu.model_copy(update={"networks": networks})
    return chip.model_copy(update={"npu": npu})
