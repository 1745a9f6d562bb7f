"""What a calibration is worth on rows that it did not see.

Three questions, each with its own rows left out: models of an architecture that nobody measured on
this chip, measurements of another source, and a chip that nobody measured.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from axsim.fidelity.effects import Floats
from axsim.fidelity.fit import LedgerFit, covariance, log_ratios, with_parameters
from axsim.fidelity.groups import architecture, names
from axsim.fidelity.ledger import Measurement
from axsim.fidelity.left_out import DIGITS, LeftOut
from axsim.fidelity.plausible import plausible
from axsim.fidelity.predict import Compared
from axsim.fidelity.regime import regime_of
from axsim.fidelity.validate import Accuracy
from axsim.models.config import ModelConfig
from axsim.spec.chip import Chip

INSENSITIVE = 1e-4
"""A parameter is fitted when some row changes by more than this fraction of its own change."""


@dataclass(frozen=True)
class Fold:
    """Rows predicted by a fit to all others. ``label`` says what they have in common; ``leaned_on``
    are the parameters that no other row depends on: they fall back to the middle of their ranges.
    """

    label: str
    accuracy: Accuracy
    leaned_on: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "left_out": self.label,
            "rows": len(self.accuracy.errors),
            "mape": self.accuracy.mape,
            "leaned_on": list(self.leaned_on),
        }


@dataclass(frozen=True)
class CrossValidation:
    """The folds of each kind: by architecture, by source, and the whole chip predicted with the
    parameters of others (none when no other chip is measured).

    ``fitted`` has of each row, by id and in the ledger's order, log(predicted / measured) of the
    fit to all rows, and its standard deviation as far as the parameters' makes it.
    """

    fitted: Mapping[str, tuple[float, float]]
    architectures: tuple[Fold, ...]
    sources: tuple[Fold, ...]
    chips: tuple[Fold, ...]

    def kinds(self) -> dict[str, tuple[Fold, ...]]:
        """The folds by what is left out; kinds without folds are absent."""
        kinds = {"architecture": self.architectures, "source": self.sources, "chip": self.chips}
        return {kind: folds for kind, folds in kinds.items() if folds}

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            kind: {"mape": pooled(folds).mape, "folds": [fold.to_dict() for fold in folds]}
            for kind, folds in self.kinds().items()
        }


def pooled(folds: Sequence[Fold], *, measured: bool = True) -> Accuracy:
    """All rows of ``folds``; without the compiler's own counts when only what is ``measured`` on
    boards is asked for."""
    rows = (row for fold in folds for row in fold.accuracy.rows)
    kept = (row for row in rows if not measured or row.row.metric != "compiler_cycles")
    return Accuracy("left out", folds[0].accuracy.chip if folds else "", tuple(kept))


def cross_validate(problem: LedgerFit, x: Floats, others: Sequence[Chip] = ()) -> CrossValidation:
    """Leave out one architecture, one source, and the chip itself. ``x`` are the logarithms of the
    fitted parameters; ``others`` the other chips that were measured."""
    chip, rows = problem.chip_at(x), problem.rows
    slopes = problem.slopes(x)
    white = problem.effects.whitener(np.arange(len(rows))) @ slopes
    spread = covariance(white / math.sqrt(problem.excess(x)), problem.pull)
    variance = np.einsum("ij,jk,ik->i", slopes, spread, slopes)
    fitted = zip(problem.ratios(x), np.sqrt(variance), strict=True)
    return CrossValidation(
        {row.id: (float(a), float(b)) for row, (a, b) in zip(rows, fitted, strict=True)},
        _folds(problem, x, lambda row: architecture(row, problem.models), names),
        _folds(problem, x, lambda row: row.source, lambda own: own[0].source or "–"),
        (_chip_fold(chip, rows, problem.models, others),) if others else (),
    )


def _folds(
    problem: LedgerFit,
    x: Floats,
    key: Callable[[Measurement], Hashable],
    label: Callable[[list[Measurement]], str],
) -> tuple[Fold, ...]:
    members: dict[Hashable, list[int]] = defaultdict(list)
    for index, row in enumerate(problem.rows):
        members[key(row)].append(index)
    every = np.arange(len(problem.rows))
    kept = [np.setdiff1d(every, own) for own in members.values()]
    whiteners = [problem.effects.whitener(rows) for rows in kept]
    slopes = problem.slopes(x)
    points = problem.refit(x, whiteners)
    ratios = problem.ratios_at(points)
    folds = []
    for own, whiten, errors in zip(members.values(), whiteners, ratios, strict=True):
        seen = np.abs(whiten @ slopes).max(axis=0, initial=0.0) > INSENSITIVE
        rows = [problem.rows[index] for index in own]
        folds.append(
            Fold(
                label(rows),
                _accuracy(problem.chip_at(x).name, rows, errors[own]),
                tuple(n for n, s in zip(problem.names, seen, strict=True) if not s),
            )
        )
    return tuple(folds)


def _chip_fold(
    chip: Chip,
    rows: tuple[Measurement, ...],
    models: Mapping[str, ModelConfig],
    others: Sequence[Chip],
) -> Fold:
    ratios = np.array(log_ratios(transferred(chip, others), rows, models))
    label = f"{chip.name}, with the parameters of {', '.join(other.name for other in others)}"
    return Fold(label, _accuracy(chip.name, list(rows), ratios))


def transferred(chip: Chip, others: Sequence[Chip]) -> Chip:
    """``chip`` as it would be described had nobody measured it: its own structure, and calibrated
    values from ``others``, geometric means of several. The clock keeps its ratio to the nominal
    one; what no other chip has is the middle of its plausible range; sizes and clocks that are
    documented are structure and stay."""
    values = {}
    for name in _fields(chip):
        ratios = [
            getattr(other.calibrated, name) / _scale(other, name)
            for other in others
            if getattr(other.calibrated, name, None)
        ]
        if ratios:
            values[name] = math.prod(ratios) ** (1 / len(ratios)) * _scale(chip, name)
        else:
            low, high, _ = plausible(chip, name)
            values[name] = math.sqrt(low * high)
    return with_parameters(chip, list(values), values.values())


def _fields(chip: Chip) -> Collection[str]:
    fields = type(chip.calibrated).model_fields
    return [name for name in fields if getattr(chip.calibrated, name)]


def _scale(chip: Chip, name: str) -> float:
    return chip.npu.nominal_clock_mhz if name == "clock_mhz" else 1.0


def _accuracy(chip: str, rows: Sequence[Measurement], ratios: Floats) -> Accuracy:
    compared = (
        Compared(row, row.value * math.exp(ratio)) for row, ratio in zip(rows, ratios, strict=True)
    )
    return Accuracy("left out", chip, tuple(compared))


def left_out_rows(
    chip: Chip, cross_validation: CrossValidation, models: Mapping[str, ModelConfig]
) -> tuple[LeftOut, ...]:
    """The rows of a chip's cross-validation, in the ledger's order."""
    fitted = cross_validation.fitted
    others = {each.row.id: each for fold in cross_validation.chips for each in fold.accuracy.rows}
    found = []
    for fold in cross_validation.architectures:
        for each in fold.accuracy.rows:
            row = each.row
            regime = regime_of(row, models, float_matmul=chip.npu.conv.float_matmul)
            ratio, spread = fitted[row.id]
            found.append(
                LeftOut(
                    row.id,
                    chip.name,
                    fold.label,
                    *regime,
                    round(ratio, DIGITS),
                    round(_log(row, each.predicted), DIGITS),
                    round(_log(row, others[row.id].predicted), DIGITS)
                    if row.id in others
                    else math.nan,
                    round(spread, DIGITS),
                )
            )
    order = {name: index for index, name in enumerate(fitted)}
    return tuple(sorted(found, key=lambda each: order[each.id]))


def _log(row: Measurement, predicted: float | None) -> float:
    assert predicted is not None
    return math.log(predicted / row.value)
