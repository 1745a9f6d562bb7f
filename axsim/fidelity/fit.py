"""Weighted least squares on log(predicted / measured) over a chip's calibrated parameters.

Parameters are fitted as logarithms: they are positive and their errors are relative. A row weighs
1 / sqrt(rows of its series), so that a ladder of 17 chunks of one model counts as one model.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Executor
from typing import Any

import numpy as np
import numpy.typing as npt

from axsim.errors import InputError, Problem
from axsim.fidelity.ledger import Measurement, series
from axsim.fidelity.predict import compare
from axsim.models.config import ModelConfig
from axsim.spec.chip import Chip

Floats = npt.NDArray[np.float64]

STEP = 0.01
"""Relative change of a parameter for its derivatives: tiles and paddings move in small jumps,
which smaller steps would take for slopes."""
COMPILER_WEIGHT = 0.5
"""Of the compiler's own cycle counts beside times measured on boards."""
OLD_TOOLCHAIN_WEIGHT = 0.4
"""Of builds by Pulsar2 2.x: the mechanisms are those of 3.x and later, and a toolchain generation
makes 10 % and more of difference."""
NOISE = 0.03
"""Relative error of a series that says nothing: measurements of one configuration by different
sources are 2 to 7 % apart. It sets what a parameter's plausible range weighs beside the rows."""
MARGIN = 1e-3
"""Relative distance that a start value keeps from the bounds."""


def weights(rows: Sequence[Measurement]) -> Floats:
    """The weight of each row; the squares of a trusted series sum to 1."""
    count = Counter(series(row) for row in rows)
    return np.array([count[series(row)] ** -0.5 * _trust(row) for row in rows])


def _trust(row: Measurement) -> float:
    if _compiled(row):
        return COMPILER_WEIGHT
    old = (row.toolchain or "").startswith("pulsar2-2.")
    return OLD_TOOLCHAIN_WEIGHT if old else 1.0


def _compiled(row: Measurement) -> bool:
    return row.metric == "compiler_cycles"


def with_parameters(chip: Chip, names: Sequence[str], values: Iterable[float]) -> Chip:
    """``chip`` with other calibrated values."""
    changed = {name: float(value) for name, value in zip(names, values, strict=True)}
    return chip.model_copy(update={"calibrated": chip.calibrated.model_copy(update=changed)})


def log_ratios(
    chip: Chip, rows: tuple[Measurement, ...], models: Mapping[str, ModelConfig]
) -> list[float]:
    """log(predicted / measured) of each row; a top-level function, so that processes can run it."""
    found = []
    for each in compare(rows, models, {chip.name.lower(): chip}):
        assert each.predicted is not None, each.reason
        found.append(float(np.log(each.predicted / each.row.value)))
    return found


class LedgerFit:
    """The residuals of ``rows`` as functions of the logarithms of the parameters ``names``.

    Every point is evaluated once. ``executor`` evaluates derivatives at the same time.
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
        self.low, self.high = low, high
        self._chip = chip
        self._models = models
        self._executor = executor
        self._on_progress = on_progress
        self._ratios: dict[bytes, Floats] = {}
        self._slopes: dict[bytes, Floats] = {}

    def chip_at(self, x: Floats) -> Chip:
        """The chip with the parameters exp(x)."""
        return with_parameters(self._chip, self.names, np.exp(x))

    def ratios(self, x: Floats) -> Floats:
        """log(predicted / measured), [rows]."""
        key = x.tobytes()
        if key not in self._ratios:
            (self._ratios[key],) = self._evaluate([x])
        return self._ratios[key]

    def slopes(self, x: Floats) -> Floats:
        """Derivatives of :meth:`ratios`, [rows, parameters], by steps that stay inside bounds."""
        key = x.tobytes()
        if key not in self._slopes:
            here = self.ratios(x)
            steps = np.where(x + STEP > self.high, -STEP, STEP)
            there = self._evaluate(list(x + np.diag(steps)))
            columns = [(one - here) / step for one, step in zip(there, steps, strict=True)]
            self._slopes[key] = np.array(columns).T.reshape(len(self.rows), len(x))
        return self._slopes[key]

    def solve(self, start: Floats, weight: Floats, max_steps: int) -> Floats:
        """The parameters' logarithms that minimise the weighted squares of the residuals and of the
        distances from the middle of each range, from ``start``.

        A range counts as four standard deviations of what is known without the rows: a parameter
        that the rows leave open settles in its middle, in place of anywhere.
        """
        optimize = _scipy_optimize()
        if not len(start):
            return start
        middle = (self.low + self.high) / 2
        pull = 4 * NOISE / (self.high - self.low)
        found = optimize.least_squares(
            lambda x: np.append(self.ratios(x) * weight, (x - middle) * pull),
            np.clip(start, self.low + MARGIN, self.high - MARGIN),
            jac=lambda x: np.vstack([self.slopes(x) * weight[:, None], np.diag(pull)]),
            bounds=(self.low, self.high),
            ftol=1e-4,
            xtol=1e-4,
            gtol=1e-9,
            max_nfev=max_steps,
        )
        solution: Floats = found.x
        return solution

    def _evaluate(self, points: Sequence[Floats]) -> list[Floats]:
        chips = [self.chip_at(x) for x in points]
        if self._executor is None or len(chips) == 1:
            pending: Any = (log_ratios(chip, self.rows, self._models) for chip in chips)
        else:
            n = len(chips)
            pending = self._executor.map(log_ratios, chips, [self.rows] * n, [self._models] * n)
        found = []
        for ratios in pending:
            found.append(np.array(ratios))
            self._on_progress(1)
        return found


def covariance(slopes: Floats, residuals: Floats, weight: Floats) -> Floats:
    """Of the parameters' logarithms, from JᵀJ and the residual variance, noise at least.

    The rows of a series are no independent observations: as many are counted as there are series.
    Directions that no row determines have infinite variance.
    """
    jacobian = slopes * weight[:, None]
    free = max(1.0, float(weight @ weight) - jacobian.shape[1])
    variance = max(float((residuals * weight) @ (residuals * weight)) / free, NOISE**2)
    scale = np.sqrt((jacobian**2).sum(axis=0))
    if (scale == 0).any():
        return np.full((len(scale), len(scale)), np.inf)
    left, values, _ = np.linalg.svd((jacobian / scale).T, full_matrices=False)
    if values[-1] < 1e-10 * values[0]:
        return np.full((len(scale), len(scale)), np.inf)
    spread: Floats = (left / values**2) @ left.T / np.outer(scale, scale) * variance
    return spread


def _scipy_optimize() -> Any:
    try:
        from scipy import optimize
    except ImportError:
        what = "calibration needs scipy"
        raise InputError(Problem("", "", what, "pip install 'axsim[calibrate]'")) from None
    return optimize
