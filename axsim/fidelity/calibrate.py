"""Calibration: fit a chip's calibrated block to the rows of a ledger, and say how sure it is."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from axsim.chip import Chip
from axsim.diagnosis import nearest
from axsim.errors import InputError, Problem
from axsim.fidelity.fit import Floats, LedgerFit, covariance, weights, with_parameters
from axsim.fidelity.ledger import Measurement, series
from axsim.fidelity.plausible import Plausible, plausible
from axsim.fidelity.predict import Compared, compare
from axsim.fidelity.validate import Accuracy, Validation
from axsim.models.config import ModelConfig

DIGITS = 4
"""Significant digits of a calibrated value: noise between sources is 2 to 8 %."""
WEAK = 0.30
"""Relative standard error above which the data do not determine a parameter."""
CORRELATED = 0.98
AT_BOUND = 0.01
"""Relative distance from a bound that counts as lying on it."""
INSENSITIVE = 1e-4
"""A parameter is fitted when some row changes by more than this fraction of its own change."""
MAX_STEPS = 15
FOLD_STEPS = 5

OnProgress = Callable[[str, int], None]
"""Told what is being fitted and that so many more ledgers have been simulated."""


@dataclass(frozen=True)
class Parameter:
    """A fitted parameter: ``error`` is its relative standard error, infinite when the data leave it
    open; ``determined_by`` the series of rows that depend on it most, with their shares; ``flags``
    what is doubtful about it."""

    name: str
    value: float
    start: float
    range: Plausible
    error: float
    determined_by: tuple[tuple[str, float], ...]
    flags: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """For JSON; an infinite error is None."""
        return {
            "name": self.name,
            "value": self.value,
            "start": self.start,
            "low": self.range.low,
            "high": self.range.high,
            "range_source": self.range.why,
            "relative_standard_error": self.error if math.isfinite(self.error) else None,
            "determined_by": [
                {"series": label, "share": share} for label, share in self.determined_by
            ],
            "flags": list(self.flags),
        }


@dataclass(frozen=True)
class LeftOut:
    """Models of one architecture, predicted by a fit to all other models' rows. ``leaned_on`` are
    the parameters that no other row depends on: they fall back to the middle of their ranges."""

    accuracy: Accuracy
    leaned_on: tuple[str, ...]

    @property
    def models(self) -> str:
        """The names of the models left out."""
        return ", ".join(dict.fromkeys(each.row.model for each in self.accuracy.rows))


@dataclass(frozen=True)
class Calibration:
    """A chip with its calibrated block fitted.

    ``validation`` compares the rows with the new chip's predictions. ``kept`` says which calibrated
    parameters were not fitted, and why. ``left_out`` has the cross-validation, when it was made.
    """

    chip: Chip
    parameters: tuple[Parameter, ...]
    validation: Validation
    kept: tuple[tuple[str, str], ...]
    left_out: tuple[LeftOut, ...] = ()

    @property
    def cross_validation(self) -> Accuracy:
        """All rows that were predicted without their model's having been fitted."""
        rows = tuple(row for fold in self.left_out for row in fold.accuracy.rows)
        return Accuracy("left out", self.chip.name, rows)

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        groups = (*self.validation.groups, self.validation.overall)
        return {
            "chip": self.chip.name,
            "parameters": [parameter.to_dict() for parameter in self.parameters],
            "not_fitted": dict(self.kept),
            "accuracy": [
                {"metric": each.metric, "rows": len(each.errors), "mape": each.mape}
                for each in groups
            ],
            "rows": self.validation.to_list(),
            "left_out": [
                {
                    "models": fold.models,
                    "rows": len(fold.accuracy.errors),
                    "mape": fold.accuracy.mape,
                    "leaned_on": list(fold.leaned_on),
                }
                for fold in self.left_out
            ],
            "left_out_mape": self.cross_validation.mape if self.left_out else None,
        }


def calibrate(
    chip: Chip,
    ledger: Sequence[Measurement],
    models: Mapping[str, ModelConfig],
    *,
    keep: Collection[str] = (),
    cross_validate: bool = False,
    executor: Executor | None = None,
    on_progress: OnProgress = lambda stage, count: None,
) -> Calibration:
    """Fit the calibrated block of ``chip`` to the rows of ``ledger`` that name it.

    Starts from the chip's own values; those of ``keep`` and the borrowed ones stay. With
    ``cross_validate``, the fit is repeated with one architecture left out at a time. The result
    does not depend on ``executor``, which evaluates derivatives at the same time.

    Raises:
        InputError: no rows of this chip, none that can be predicted, fewer than parameters, an
            unknown name in ``keep``, or scipy is not installed.
    """
    rows = _usable(chip, ledger, models)
    fields = [n for n in type(chip.calibrated).model_fields if getattr(chip.calibrated, n)]
    unknown = [name for name in keep if name not in fields]
    if unknown:
        hint = nearest(unknown[0], fields)
        what = f"{chip.name} has no calibrated parameter {unknown[0]!r}"
        raise InputError(Problem("", "", what, ", ".join(fields), hint))
    kept = [(name, "kept as it is") for name in fields if name in keep]
    kept += [
        (name, f"as fitted on {source}")
        for name, source in chip.borrowed.items()
        if name not in keep
    ]
    kept += [(name, f"fixed: {why}") for name, why in chip.fixed.items() if name not in keep]
    names = [name for name in fields if name not in dict(kept)]
    problem = _problem(chip, names, rows, models, executor, on_progress)
    weight = weights(rows)
    start = _start(chip, problem)
    moved = np.abs(problem.slopes(start)).max(axis=0) > INSENSITIVE
    if not moved.all():
        kept += [(n, "no row depends on it") for n, m in zip(names, moved, strict=True) if not m]
        names = [name for name, moves in zip(names, moved, strict=True) if moves]
        problem = _problem(chip, names, rows, models, executor, on_progress)
        start = _start(chip, problem)
    if len({series(row) for row in rows}) < len(names):
        what = f"{len(rows)} rows cannot determine {len(names)} parameters of {chip.name}"
        raise InputError(Problem("", "", what, "more rows, or parameters to keep"))
    solution = problem.solve(start, weight, MAX_STEPS)
    fitted = _rounded(problem, solution)
    parameters = _parameters(chip, fitted, problem, solution, weight)
    left_out: tuple[LeftOut, ...] = ()
    if cross_validate:
        left_out = _leave_out(problem, solution, weight, models, fitted)
    compared = compare(rows, models, {chip.name.lower(): fitted})
    return Calibration(fitted, parameters, Validation(tuple(compared)), tuple(kept), left_out)


def _usable(
    chip: Chip, ledger: Sequence[Measurement], models: Mapping[str, ModelConfig]
) -> tuple[Measurement, ...]:
    rows = tuple(row for row in ledger if row.chip.lower() == chip.name.lower())
    if not rows:
        there = ", ".join(sorted({row.chip for row in ledger}))
        raise InputError(Problem("", "chip", f"the ledger has no rows of {chip.name}", there))
    compared = compare(rows, models, {chip.name.lower(): chip})
    broken = [each for each in compared if each.predicted is None]
    if broken:
        raise InputError([Problem(f"line {b.row.line}", b.row.id, b.reason) for b in broken])
    return rows


def _problem(
    chip: Chip,
    names: Sequence[str],
    rows: tuple[Measurement, ...],
    models: Mapping[str, ModelConfig],
    executor: Executor | None,
    on_progress: OnProgress,
) -> LedgerFit:
    ranges = [plausible(chip, name) for name in names]
    low, high = (np.log([getattr(r, side) for r in ranges]) for side in ("low", "high"))
    return LedgerFit(
        chip, names, rows, models, low, high, executor, lambda n: on_progress("fit", n)
    )


def _start(chip: Chip, problem: LedgerFit) -> Floats:
    """The chip's own values, brought inside the plausible ranges."""
    values = np.log([float(getattr(chip.calibrated, name)) for name in problem.names])
    start: Floats = np.clip(values, problem.low, problem.high)
    return start


def _rounded(problem: LedgerFit, x: Floats) -> Chip:
    """The chip with ``x`` in few digits, and on a bound where ``x`` all but lies there."""
    x = np.where(x - problem.low < AT_BOUND, problem.low, x)
    x = np.where(problem.high - x < AT_BOUND, problem.high, x)
    values = [float(f"{value:.{DIGITS}g}") for value in np.exp(x)]
    return with_parameters(problem.chip_at(x), problem.names, values)


def _parameters(
    chip: Chip, fitted: Chip, problem: LedgerFit, x: Floats, weight: Floats
) -> tuple[Parameter, ...]:
    slopes, ratios = problem.slopes(x), problem.ratios(x)
    bound = np.minimum(x - problem.low, problem.high - x) < AT_BOUND
    # A parameter that its bound holds is not free: the others' errors are those without it.
    free = np.flatnonzero(~bound)
    spread = covariance(slopes[:, free], ratios, weight)
    found = []
    for index, name in enumerate(problem.names):
        flags = []
        error = math.inf
        if bound[index]:
            error = math.nan
            flags.append("at a bound of its plausible range")
        else:
            own = int(np.flatnonzero(free == index)[0])
            error = math.sqrt(spread[own, own])
            if error > WEAK:
                flags.append("the rows do not determine it")
            if math.isfinite(error):
                deviations = np.sqrt(np.diag(spread))
                correlation = spread[own] / (deviations[own] * deviations)
                flags += [
                    f"cannot be told from {problem.names[free[other]]}"
                    for other in np.flatnonzero(np.abs(correlation) > CORRELATED)
                    if other != own
                ]
        found.append(
            Parameter(
                name,
                float(getattr(fitted.calibrated, name)),
                float(getattr(chip.calibrated, name)),
                plausible(chip, name),
                error,
                _determined_by(problem.rows, slopes[:, index] * weight),
                tuple(flags),
            )
        )
    return tuple(found)


def _determined_by(
    rows: Sequence[Measurement], column: Floats, count: int = 3
) -> tuple[tuple[str, float], ...]:
    """The series that hold most of a parameter's sum of squared slopes."""
    shares: dict[str, float] = defaultdict(float)
    total = float(column @ column) or 1.0
    for row, slope in zip(rows, column, strict=True):
        shares[" ".join(str(part) for part in series(row) if part)] += float(slope**2) / total
    ordered = sorted(shares.items(), key=lambda item: (-item[1], item[0]))
    return tuple((label, share) for label, share in ordered[:count] if share > 0.01)


def _leave_out(
    problem: LedgerFit,
    solution: Floats,
    weight: Floats,
    models: Mapping[str, ModelConfig],
    fitted: Chip,
) -> tuple[LeftOut, ...]:
    """Refit without the rows of each architecture in turn, from the whole fit's values."""
    groups: dict[object, list[int]] = defaultdict(list)
    for index, row in enumerate(problem.rows):
        if row.metric != "compiler_cycles":
            key = _architecture(models[row.model], row)
            groups[key].append(index)
    found = []
    for indices in groups.values():
        others = weight.copy()
        others[indices] = 0
        slopes = problem.slopes(solution) * others[:, None]
        open_ = np.abs(slopes).max(axis=0) <= INSENSITIVE
        x = problem.solve(solution, others, FOLD_STEPS)
        ratios = problem.ratios(x)[indices]
        rows = [
            Compared(problem.rows[i], problem.rows[i].value * math.exp(ratio))
            for i, ratio in zip(indices, ratios, strict=True)
        ]
        leaned_on = tuple(n for n, o in zip(problem.names, open_, strict=True) if o)
        found.append(LeftOut(Accuracy("left out", fitted.name, tuple(rows)), leaned_on))
    return tuple(found)


def _architecture(model: ModelConfig, row: Measurement) -> object:
    """What makes models one: InternVL2-1B's decoder is Qwen2.5-0.5B but for a few words."""
    if row.metric == "vision_encode_ms":
        return model.vision
    assert model.decoder is not None
    return replace(model.decoder, vocab_size=1, tie_word_embeddings=False)
