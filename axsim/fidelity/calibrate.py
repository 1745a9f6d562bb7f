"""Calibration: fit a chip's calibrated block to the rows of a ledger, and say how sure it is."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from axsim.errors import InputError, Problem
from axsim.fidelity.cross_validation import INSENSITIVE, CrossValidation, cross_validate
from axsim.fidelity.effects import Floats
from axsim.fidelity.fit import LedgerFit, covariance, with_parameters
from axsim.fidelity.ledger import Measurement, series
from axsim.fidelity.plausible import Plausible, plausible
from axsim.fidelity.predict import compare
from axsim.fidelity.validate import Validation
from axsim.models.config import ModelConfig
from axsim.spec.chip import Chip
from axsim.spec.diagnosis import nearest

DIGITS = 4
"""Significant digits of a calibrated value: noise between sources is 2 to 8 %."""
WEAK = 0.30
"""Relative standard error above which the data do not determine a parameter."""
CORRELATED = 0.98
AT_BOUND = 0.01
"""Relative distance from a bound that counts as lying on it."""

OnProgress = Callable[[str, int], None]
"""Told what is being fitted and that so many more ledgers have been simulated."""


class Support(NamedTuple):
    """A series of rows that a parameter depends on: its ids, and its share of the parameter's sum
    of squared slopes."""

    series: str
    ids: tuple[str, ...]
    share: float


@dataclass(frozen=True)
class Parameter:
    """A fitted parameter: ``error`` is its relative standard error by the rows alone, infinite when
    they leave it open; ``determined_by`` the series of rows that depend on it most; ``flags`` what
    is doubtful about it."""

    name: str
    value: float
    start: float
    range: Plausible
    error: float
    determined_by: tuple[Support, ...]
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
                {"series": label, "ids": list(ids), "share": share}
                for label, ids, share in self.determined_by
            ],
            "flags": list(self.flags),
        }


@dataclass(frozen=True)
class Calibration:
    """A chip with its calibrated block fitted.

    ``validation`` compares the rows with the new chip's predictions. ``kept`` says
    which calibrated parameters were not fitted, and why. ``left_out`` is the cross-validation, when
    it was made.
    """

    chip: Chip
    parameters: tuple[Parameter, ...]
    validation: Validation
    kept: tuple[tuple[str, str], ...]
    left_out: CrossValidation | None = None

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
            "left_out": None if self.left_out is None else self.left_out.to_dict(),
        }


def calibrate(
    chip: Chip,
    ledger: Sequence[Measurement],
    models: Mapping[str, ModelConfig],
    *,
    keep: Collection[str] = (),
    others: Sequence[Chip] = (),
    cross_validation: bool = False,
    executor: Executor | None = None,
    on_progress: OnProgress = lambda stage, count: None,
) -> Calibration:
    """Fit the calibrated block of ``chip`` to the rows of ``ledger`` that name it.

    Starts from the middle of the plausible ranges, so that the result does not depend on the values
    that the chip has; those of ``keep`` and the borrowed ones stay. With ``cross_validation``, the
    fit is repeated with one architecture and one source left out at a time, and the rows are
    predicted with the parameters of ``others``, chips measured elsewhere in the ledger. The result
    does not depend on ``executor``, which evaluates several points at the same time.

    Raises:
        InputError: no rows of this chip, none that can be predicted, fewer than parameters, an
            unknown name in ``keep``, or scipy is not installed.
    """
    problem, kept = _prepared(chip, ledger, models, keep, executor, on_progress)
    if len({series(row) for row in problem.rows}) < len(problem.names):
        what = f"{len(problem.rows)} rows cannot determine {len(problem.names)} parameters"
        raise InputError(
            Problem("", "", f"{what} of {chip.name}", "more rows, or parameters to keep")
        )
    solution = problem.solve(problem.middle)
    fitted = _rounded(problem, solution)
    parameters = _parameters(chip, fitted, problem, solution)
    rows = problem.rows
    validation = Validation(tuple(compare(rows, models, {chip.name.lower(): fitted})))
    left_out = None
    if cross_validation:
        left_out = cross_validate(problem, solution, _measured(others, chip, ledger))
    return Calibration(fitted, parameters, validation, tuple(kept), left_out)


def cross_validate_as_it_is(
    chip: Chip,
    ledger: Sequence[Measurement],
    models: Mapping[str, ModelConfig],
    *,
    others: Sequence[Chip] = (),
    executor: Executor | None = None,
    on_progress: OnProgress = lambda stage, count: None,
) -> CrossValidation:
    """The cross-validation of a chip whose calibrated block was fitted before: its own values stand
    for the whole fit, and are where the refits start.

    Raises:
        InputError: as :func:`calibrate`.
    """
    problem, _ = _prepared(chip, ledger, models, (), executor, on_progress)
    values = np.log([float(getattr(chip.calibrated, name)) for name in problem.names])
    own: Floats = np.clip(values, problem.low, problem.high)
    return cross_validate(problem, own, _measured(others, chip, ledger))


def _measured(
    others: Sequence[Chip], chip: Chip, ledger: Sequence[Measurement]
) -> tuple[Chip, ...]:
    """Those of ``others`` that the ledger has rows of."""
    there = {row.chip.lower() for row in ledger} - {chip.name.lower()}
    return tuple(other for other in others if other.name.lower() in there)


def _prepared(
    chip: Chip,
    ledger: Sequence[Measurement],
    models: Mapping[str, ModelConfig],
    keep: Collection[str],
    executor: Executor | None,
    on_progress: OnProgress,
) -> tuple[LedgerFit, list[tuple[str, str]]]:
    """The fit of the parameters that some row depends on; the others, with the reason."""
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
    moved = np.abs(problem.slopes(problem.middle)).max(axis=0, initial=0.0) > INSENSITIVE
    if not moved.all():
        kept += [(n, "no row depends on it") for n, m in zip(names, moved, strict=True) if not m]
        names = [name for name, moves in zip(names, moved, strict=True) if moves]
        problem = _problem(chip, names, rows, models, executor, on_progress)
    return problem, kept


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


def _rounded(problem: LedgerFit, x: Floats) -> Chip:
    """The chip with ``x`` in few digits, and on a bound where ``x`` all but lies there."""
    x = np.where(x - problem.low < AT_BOUND, problem.low, x)
    x = np.where(problem.high - x < AT_BOUND, problem.high, x)
    values = [float(f"{value:.{DIGITS}g}") for value in np.exp(x)]
    return with_parameters(problem.chip_at(x), problem.names, values)


def _parameters(chip: Chip, fitted: Chip, problem: LedgerFit, x: Floats) -> tuple[Parameter, ...]:
    whiten = problem.effects.whitener(np.arange(len(problem.rows)))
    slopes = whiten @ problem.slopes(x) / math.sqrt(problem.excess(x))
    bound = np.minimum(x - problem.low, problem.high - x) < AT_BOUND
    # A parameter that its bound holds is not free: the others' errors are those without it.
    free = np.flatnonzero(~bound)
    spread = covariance(slopes[:, free])
    parameters = []
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
        parameters.append(
            Parameter(
                name,
                float(getattr(fitted.calibrated, name)),
                float(getattr(chip.calibrated, name)),
                plausible(chip, name),
                error,
                _determined_by(problem.rows, problem.slopes(x)[:, index], problem.effects.shares),
                tuple(flags),
            )
        )
    return tuple(parameters)


def _determined_by(
    rows: Sequence[Measurement], column: Floats, weight: Floats, count: int = 3
) -> tuple[Support, ...]:
    """The series that hold most of a parameter's weighted sum of squared slopes."""
    squares: dict[str, float] = defaultdict(float)
    ids: dict[str, list[str]] = defaultdict(list)
    for row, square in zip(rows, weight * column**2, strict=True):
        label = " ".join(str(part) for part in series(row) if part)
        squares[label] += float(square)
        ids[label].append(row.id)
    total = sum(squares.values()) or 1.0
    ordered = sorted(squares.items(), key=lambda item: (-item[1], item[0]))
    return tuple(
        Support(label, tuple(ids[label]), square / total)
        for label, square in ordered[:count]
        if square > 0.01 * total
    )
