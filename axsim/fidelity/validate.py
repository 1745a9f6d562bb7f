"""How well predictions match a ledger: errors by metric and chip, and orderings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import combinations
from pathlib import Path
from statistics import fmean, median, quantiles
from typing import Any

from axsim.errors import InputError, Problem
from axsim.fidelity.coverage import Judged, judge
from axsim.fidelity.ledger import (
    Measurement,
    load_ledger,
    load_models,
    shipped_ledger,
    shipped_models,
)
from axsim.fidelity.predict import Compared, compare, shipped_chips
from axsim.models.config import ModelConfig
from axsim.spec.chip import Chip, load_chip
from axsim.system.metrics import LEDGER

DISTINCT = 0.10
"""Measurements that differ by more than this fraction have an order that noise between sources
(2 to 8 %) does not turn round."""


@dataclass(frozen=True, repr=False)
class Accuracy:
    """Errors of the predicted rows of one ``metric`` on one ``chip``, or of any set of rows;
    ``judged`` has their intervals by id."""

    metric: str
    chip: str
    rows: tuple[Compared, ...]
    judged: Mapping[str, Judged] = field(default_factory=dict)

    @cached_property
    def errors(self) -> tuple[float, ...]:
        """|predicted / measured − 1| of each row that has a prediction."""
        return tuple(abs(row.error) for row in self.rows if row.error is not None)

    @property
    def mape(self) -> float:
        """Mean absolute error as a fraction; 0 when nothing could be predicted."""
        return fmean(self.errors) if self.errors else 0.0

    @property
    def median(self) -> float:
        """Median absolute error as a fraction."""
        return median(self.errors) if self.errors else 0.0

    @property
    def p90(self) -> float:
        """90th percentile of the absolute errors, as a fraction."""
        if len(self.errors) < 2:
            return self.mape
        return quantiles(self.errors, n=10, method="inclusive")[-1]

    @property
    def coverage(self) -> float | None:
        """The share of rows whose interval holds what was measured; None without intervals. A row
        that the fit has seen counts as if its architecture had been left out."""
        own = [self.judged[each.row.id] for each in self.rows if each.row.id in self.judged]
        return fmean(each.holds for each in own) if own else None

    def __repr__(self) -> str:
        what = " ".join(filter(None, (self.metric, self.chip)))
        return f"<{what}: {len(self.rows)} rows, MAPE {self.mape:.1%}>"

    @property
    def worst(self) -> Compared | None:
        """The row with the largest error."""
        predicted = [row for row in self.rows if row.error is not None]
        return max(predicted, key=lambda row: abs(row.error or 0.0), default=None)


@dataclass(frozen=True, repr=False)
class Validation:
    """A ledger's rows beside their predictions, in the ledger's order, and their intervals by
    id."""

    compared: tuple[Compared, ...]
    judged: Mapping[str, Judged] = field(default_factory=dict, repr=False)

    def __repr__(self) -> str:
        return f"<Validation: {self.overall}; {self.boards}>"

    @cached_property
    def groups(self) -> tuple[Accuracy, ...]:
        """By metric and chip: metrics in the order of :data:`LEDGER`, chips by name."""
        found: dict[tuple[str, str], list[Compared]] = {}
        for each in self.compared:
            found.setdefault((each.row.metric, each.row.chip.lower()), []).append(each)
        order = sorted(found, key=lambda key: (LEDGER.index(key[0]), key[1]))
        return tuple(Accuracy(*key, tuple(found[key]), self.judged) for key in order)

    @property
    def overall(self) -> Accuracy:
        """All rows together."""
        return Accuracy("all", "", self.compared, self.judged)

    @property
    def boards(self) -> Accuracy:
        """Rows measured on silicon: all but the compiler's own cycle counts."""
        rows = (each for each in self.compared if each.row.metric != "compiler_cycles")
        return Accuracy("measured on boards", "", tuple(rows), self.judged)

    @property
    def failures(self) -> tuple[Compared, ...]:
        """Rows without a prediction."""
        return tuple(each for each in self.compared if each.predicted is None)

    @cached_property
    def orderings(self) -> tuple[int, int]:
        """Pairs of rows of the same metric and chip whose measurements differ by more than
        ``DISTINCT``: how many are predicted in the right order, and how many there are."""
        right = pairs = 0
        for group in self.groups:
            known = [each for each in group.rows if each.predicted is not None]
            for a, b in combinations(known, 2):
                low, high = (a, b) if a.row.value < b.row.value else (b, a)
                if high.row.value > low.row.value * (1 + DISTINCT):
                    pairs += 1
                    assert low.predicted is not None
                    assert high.predicted is not None
                    right += high.predicted > low.predicted
        return right, pairs

    def to_list(self) -> list[dict[str, Any]]:
        """One object per row, as ``--json`` writes them: ``id, chip, model, metric, measured,
        predicted, error``; ``reason`` where ``predicted`` and ``error`` are None. Of each predicted
        row also its interval, ``low`` and ``high`` in the metric's unit, ``extrapolated`` (why, or
        None), ``covered``, and ``left_out_error``, that of a fit without the row's architecture
        (None for rows that no fit has seen)."""
        return [_to_dict(each, self.judged.get(each.row.id)) for each in self.compared]


def _to_dict(each: Compared, judged: Judged | None) -> dict[str, Any]:
    row = each.row
    found: dict[str, Any] = {name: getattr(row, name) for name in ("id", "chip", "model", "metric")}
    found |= {"measured": row.value, "predicted": each.predicted, "error": each.error}
    if each.predicted is None:
        return found | {"reason": each.reason}
    if judged is not None:
        low, high = judged.interval
        found |= {"low": each.predicted * (1 + low), "high": each.predicted * (1 + high)}
        found |= {"extrapolated": judged.extrapolated or None, "covered": judged.holds}
        found["left_out_error"] = judged.error if judged.left_out else None
    return found


def validate(
    ledger: str | Path | Iterable[Measurement] | None = None,
    models: str | Path | None = None,
    chip: str | Path | Chip | None = None,
    graphs: str | Path | None = None,
) -> Validation:
    """Predict every row of a ledger: what ``axsim validate`` shows, as objects.

    ``ledger`` is a CSV file or its rows, the shipped one by default. ``models`` is a file of
    architectures beside the shipped ones; its definitions win. ``chip`` (a shipped name, a file or
    a :class:`Chip`) keeps only the rows of the chip of that name and predicts them with it.
    ``graphs`` is the folder of the ONNX files that rows of ``graph_ms`` name, by default the
    shipped one.

    >>> axsim.fidelity.validate.validate(chip="ax630c").overall.mape

    Raises:
        InputError: a file is wrong, or there are no rows of the chip.
    """
    rows, known, chips = chosen(ledger, architectures(models), chip)
    compared = compare(rows, known, chips, folder_of(graphs))
    return Validation(tuple(compared), judge(compared, known, chips))


def folder_of(graphs: str | Path | None) -> Path | None:
    """The folder of networks; InputError when there is none of that name, or none in it."""
    if graphs is None:
        return None
    if not Path(graphs).is_dir():
        raise InputError(f"--graphs {graphs}: no such folder")
    if not any(Path(graphs).glob("*.onnx")):
        raise InputError(f"--graphs {graphs}: the folder holds no file NAME.onnx")
    return Path(graphs)


def chosen(
    ledger: str | Path | Iterable[Measurement] | None,
    models: Mapping[str, ModelConfig],
    chip: str | Path | Chip | None,
) -> tuple[tuple[Measurement, ...], Mapping[str, ModelConfig], Mapping[str, Chip]]:
    """The rows that :func:`validate` predicts, and what it predicts them from.

    Raises:
        InputError: as :func:`validate`.
    """
    rows = tuple(_rows(ledger))
    if chip is None:
        return rows, models, shipped_chips()
    only = chip if isinstance(chip, Chip) else load_chip(chip)
    own = tuple(row for row in rows if row.chip.lower() == only.name.lower())
    if not own:
        there = ", ".join(sorted({row.chip for row in rows}))
        raise InputError(Problem("", "chip", f"the ledger has no rows of {only.name}", there))
    return own, models, {only.name.lower(): only}


def architectures(models: str | Path | None = None) -> Mapping[str, ModelConfig]:
    """The shipped architectures, extended by a file's.

    Raises:
        InputError: as :func:`axsim.fidelity.ledger.load_models`.
    """
    known = load_models(shipped_models())
    return known if models is None else known.extended(load_models(Path(models)))


def _rows(ledger: str | Path | Iterable[Measurement] | None) -> Sequence[Measurement]:
    if ledger is None:
        return load_ledger(shipped_ledger())
    return load_ledger(Path(ledger)) if isinstance(ledger, str | Path) else tuple(ledger)
