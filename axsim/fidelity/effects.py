"""How the errors of a ledger's rows hang together, as variance components.

The error of a row, as log(predicted / measured), is what its architecture has in common, plus what
its source has in common, plus its own. The first is what the timing model misses of a model, the
second how a source measures and builds. So nine rows of one package say less than nine rows of nine
packages, and a fit cannot buy a small error on a long ladder with large ones elsewhere.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from functools import cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from axsim.fidelity.groups import architecture, group
from axsim.fidelity.ledger import Measurement, series
from axsim.models.config import ModelConfig

Floats = npt.NDArray[np.float64]

NOISE = 0.03
"""Relative error of a measurement that says nothing: measurements of one configuration by different
sources are 2 to 7 % apart. The middle of what each component is thought to be beforehand."""
SPREAD = 0.5
"""Standard deviation of the logarithm of a component beforehand: 3 % may well be 2 or 5 %."""
GRID = tuple(round(NOISE * 2 ** (step / 2), 5) for step in range(-4, 2))
"""Values that a component may have, 0.75 % to 4.2 %: few, so that the same rows give the same
weights on every computer. More in common would be a missing mechanism: a fit that takes it for
noise gives that architecture up, and hides it."""
COMPILER_TRUST = 0.5
"""Weight of the compiler's own cycle counts beside times measured on boards."""
OLD_TOOLCHAIN_TRUST = 0.4
"""Weight of builds by Pulsar2 2.x: the mechanisms are those of 3.x and later, and a toolchain
generation makes 10 % and more of difference."""


class Components(NamedTuple):
    """Standard deviations: shared by an architecture, shared by a source, a series' own."""

    architecture: float = GRID[4]
    source: float = GRID[4]
    own: float = GRID[4]


class Effects:
    """Which rows share an architecture or a source within a group, how far each is trusted, and
    what each counts were it independent of the others (``shares``)."""

    def __init__(self, rows: Sequence[Measurement], models: Mapping[str, ModelConfig]) -> None:
        self.trust = np.array([_trust(row) for row in rows])
        self._architecture = _same([(architecture(r, models), group(r.metric)) for r in rows])
        self._source = _same([(row.source, group(row.metric)) for row in rows])
        count = Counter(series(row) for row in rows)
        # A ladder of 17 chunks repeats one configuration's errors: its shape counts once.
        repeats = np.array([float(count[series(row)]) for row in rows])
        self._own = np.diag(repeats)
        self.shares = self.trust**2 / repeats

    def whitener(self, components: Components, rows: npt.NDArray[np.intp]) -> Floats:
        """The matrix [len(rows), all rows] that turns the errors of ``rows`` into independent ones
        of variance 1; columns of other rows are zero."""
        chosen = np.linalg.cholesky(self._covariance(components)[np.ix_(rows, rows)])
        whole = np.zeros((len(rows), len(self.trust)))
        whole[:, rows] = np.linalg.inv(chosen) * self.trust[rows]
        return whole

    def estimate(self, errors: Floats, slopes: Floats) -> Components:
        """The likeliest components given the ``errors`` that a fit with ``slopes`` leaves
        (restricted likelihood: what the fitted parameters took up is counted back in)."""
        errors, slopes = errors * self.trust, slopes * self.trust[:, None]
        slopes = slopes[:, np.abs(slopes).max(axis=0) > 0]

        @cache
        def score(components: Components) -> float:
            factor = np.linalg.cholesky(self._covariance(components))
            white = np.linalg.solve(factor, np.column_stack([errors, slopes]))
            values = np.linalg.svd(white[:, 1:], compute_uv=False)
            prior = sum((np.log(each / NOISE) / SPREAD) ** 2 for each in components)
            likelihood = white[:, 0] @ white[:, 0] + 2 * np.log(np.diag(factor)).sum()
            determined = values[values > 1e-6 * values[0]] if len(values) else values
            return float(round(likelihood + 2 * np.log(determined).sum() + prior, 6))

        best = Components()
        while True:
            before = best
            for name in Components._fields:
                best = min((best._replace(**{name: value}) for value in GRID), key=score)
            if best == before:
                return best

    def _covariance(self, components: Components) -> Floats:
        shared = components.architecture**2 * self._architecture
        found: Floats = shared + components.source**2 * self._source + components.own**2 * self._own
        return found


def _same(keys: Sequence[Hashable]) -> Floats:
    """1 where two rows have equal keys."""
    numbers = {key: index for index, key in enumerate(dict.fromkeys(keys))}
    labels = np.array([numbers[key] for key in keys])
    found: Floats = (labels[:, None] == labels[None, :]).astype(np.float64)
    return found


def _trust(row: Measurement) -> float:
    if row.metric == "compiler_cycles":
        return COMPILER_TRUST
    return OLD_TOOLCHAIN_TRUST if (row.toolchain or "").startswith("pulsar2-2.") else 1.0
