"""Least squares on log(predicted / measured) over a chip's calibrated parameters.

Parameters are fitted as logarithms: they are positive and their errors are relative. The rows'
errors hang together as :mod:`axsim.fidelity.effects` says (generalised least squares). What is
known of a parameter without the rows, its plausible range, is one more observation of it: the range
counts as four standard deviations. So a parameter that the rows leave open settles in the middle of
its range, in place of anywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Executor
from typing import Any

import numpy as np

from axsim.errors import InputError, Problem
from axsim.fidelity.effects import Effects, Floats
from axsim.fidelity.ledger import Measurement
from axsim.fidelity.predict import compare
from axsim.models.config import ModelConfig
from axsim.spec.chip import Chip

STEP = 0.01
"""Relative change of a parameter for its derivatives: tiles and paddings move in small jumps,
which smaller steps would take for slopes."""
MARGIN = 1e-3
"""Relative distance that a start value keeps from the bounds."""
PRIOR = 4.0
"""Standard deviations in a plausible range."""
MAX_STEPS = 15
REFIT_STEPS = 3
"""Steps of a refit without some rows, along the slopes of the whole fit."""
CLOSE = 2e-3
"""A refit has arrived when no parameter moves by more than this fraction."""


def with_parameters(chip: Chip, names: Sequence[str], values: Iterable[float]) -> Chip:
    """``chip`` with other calibrated values."""
    changed = {name: float(value) for name, value in zip(names, values, strict=True)}
    return chip.model_copy(update={"calibrated": chip.calibrated.model_copy(update=changed)})


def log_ratios(
    chip: Chip, rows: tuple[Measurement, ...], models: Mapping[str, ModelConfig]
) -> list[float]:
    """log(predicted / measured) of each row; a top-level function, so that processes can run it."""
    ratios = []
    for compared in compare(rows, models, {chip.name.lower(): chip}):
        assert compared.predicted is not None, compared.reason
        ratios.append(float(np.log(compared.predicted / compared.row.value)))
    return ratios


class LedgerFit:
    """The errors of ``rows`` as functions of the logarithms of the parameters ``names``.

    Every point is evaluated once. ``executor`` evaluates points at the same time.
    """

    def __init__(
        self,
        chip: Chip,
        names: Sequence[str],
        rows: tuple[Measurement, ...],
        models: Mapping[str, ModelConfig],
        low: Floats,
        high: Floats,
        executor: Executor | None = None,
        on_progress: Callable[[int], None] = lambda count: None,
    ) -> None:
        self.names = tuple(names)
        self.rows = rows
        self.models = models
        self.low, self.high = low, high
        self.effects = Effects(rows, models)
        self._chip = chip
        self._executor = executor
        self._on_progress = on_progress
        self._ratios: dict[bytes, Floats] = {}
        self._slopes: dict[bytes, Floats] = {}

    @property
    def middle(self) -> Floats:
        """The middle of each plausible range."""
        return (self.low + self.high) / 2

    @property
    def pull(self) -> Floats:
        """One over the standard deviation that each parameter has beforehand."""
        return PRIOR / (self.high - self.low)

    def chip_at(self, x: Floats) -> Chip:
        """The chip with the parameters exp(x)."""
        return with_parameters(self._chip, self.names, np.exp(x))

    def ratios(self, x: Floats) -> Floats:
        """log(predicted / measured), [rows]."""
        return self.ratios_at([x])[0]

    def ratios_at(self, points: Sequence[Floats]) -> list[Floats]:
        """:meth:`ratios` of several points, evaluated at the same time."""
        fresh = {x.tobytes(): x for x in points if x.tobytes() not in self._ratios}
        self._ratios.update(zip(fresh, self._evaluate(list(fresh.values())), strict=True))
        return [self._ratios[x.tobytes()] for x in points]

    def slopes(self, x: Floats) -> Floats:
        """Derivatives of :meth:`ratios`, [rows, parameters], by steps that stay inside bounds."""
        key = x.tobytes()
        if key not in self._slopes:
            steps = np.where(x + STEP > self.high, -STEP, STEP)
            here, *moved = self.ratios_at([x, *(x + np.diag(steps))])
            columns = [(one - here) / step for one, step in zip(moved, steps, strict=True)]
            self._slopes[key] = np.array(columns).T.reshape(len(self.rows), len(x))
        return self._slopes[key]

    def solve(self, start: Floats) -> Floats:
        """The parameters' logarithms that fit the rows best, from ``start``."""
        optimize = scipy_optimize()
        if not len(start):
            return start
        whiten = self.effects.whitener(np.arange(len(self.rows)))
        solution: Floats = optimize.least_squares(
            lambda x: np.append(whiten @ self.ratios(x), (x - self.middle) * self.pull),
            np.clip(start, self.low + MARGIN, self.high - MARGIN),
            jac=lambda x: np.vstack([whiten @ self.slopes(x), np.diag(self.pull)]),
            bounds=(self.low, self.high),
            ftol=1e-4,
            xtol=1e-4,
            gtol=1e-9,
            max_nfev=MAX_STEPS,
        ).x
        return solution

    def excess(self, x: Floats) -> float:
        """The variance of the whitened errors, 1 at least: how much wronger the rows are predicted
        than their noise would have it. As many are counted as there are series."""
        white = self.effects.whitener(np.arange(len(self.rows))) @ self.ratios(x)
        free = max(1.0, float(self.effects.shares.sum()) - len(x))
        return max(1.0, float(white @ white) / free)

    def refit(self, x: Floats, whiteners: Sequence[Floats]) -> list[Floats]:
        """The parameters' logarithms for each of ``whiteners``, which leave out some rows: from
        ``x``, a fit to all rows, and along its slopes, all at the same time."""
        optimize = scipy_optimize()
        slopes = self.slopes(x)
        points = [x] * len(whiteners)
        moving = set(range(len(whiteners))) if len(x) else set()
        for _ in range(REFIT_STEPS):
            errors = self.ratios_at(points)
            for index in sorted(moving):
                whiten, point = whiteners[index], points[index]
                system = np.vstack([whiten @ slopes, np.diag(self.pull)])
                wanted = np.append(whiten @ errors[index], (point - self.middle) * self.pull)
                bounds = (self.low - point - 1e-12, self.high - point + 1e-12)
                move = optimize.lsq_linear(system, -wanted, bounds).x
                points[index] = np.clip(point + move, self.low, self.high)
                if np.abs(move).max() < CLOSE:
                    moving.discard(index)
            if not moving:
                break
        return points

    def _evaluate(self, points: Sequence[Floats]) -> list[Floats]:
        chips = [self.chip_at(x) for x in points]
        if self._executor is None or len(chips) <= 1:
            pending: Any = (log_ratios(chip, self.rows, self.models) for chip in chips)
        else:
            n = len(chips)
            pending = self._executor.map(log_ratios, chips, [self.rows] * n, [self.models] * n)
        evaluated = []
        for ratios in pending:
            evaluated.append(np.array(ratios))
            self._on_progress(1)
        return evaluated


def covariance(jacobian: Floats, pull: Floats | None = None) -> Floats:
    """Of the parameters' logarithms, from the whitened slopes ``jacobian``, [rows, parameters].

    With ``pull`` the plausible ranges count too; without, only what the rows say: directions that
    no row determines have infinite variance.
    """
    if pull is not None:
        jacobian = np.vstack([jacobian, np.diag(pull)])
    count = jacobian.shape[1]
    scale = np.sqrt((jacobian**2).sum(axis=0))
    if not count or (scale == 0).any():
        return np.full((count, count), np.inf)
    left, values, _ = np.linalg.svd((jacobian / scale).T, full_matrices=False)
    if values[-1] < 1e-10 * values[0] or len(values) < count:
        return np.full((count, count), np.inf)
    spread: Floats = (left / values**2) @ left.T / np.outer(scale, scale)
    return spread


def scipy_optimize() -> Any:
    """scipy's optimisers; InputError says how to install them."""
    try:
        from scipy import optimize
    except ImportError:
        what = "calibration needs scipy"
        raise InputError(Problem("", "", what, "pip install 'axsim[calibrate]'")) from None
    return optimize
