"""How the errors of a ledger's rows hang together, as random effects.

The error of a row, as log(predicted / measured), is what its architecture has in common, plus what
its source has in common, plus its own. The first is what the timing model misses of a model, the
second how a source measures and builds. So nine rows of one package say less than nine rows of nine
packages, and a fit cannot buy a small error on a long ladder with large ones elsewhere.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from axsim.fidelity.groups import architecture, group
from axsim.fidelity.ledger import Measurement, series
from axsim.models.config import ModelConfig

Floats = npt.NDArray[np.float64]

NOISE = 0.03
"""Standard deviation of a single row's error: measurements of one configuration by different
sources are 2 to 7 % apart."""
ARCHITECTURE, SOURCE, OWN = 0.25, 0.25, 0.5
"""What of its variance an architecture has in common, what a source, and what is a series' own. Of
the ways to share it out that were tried, this is about the one that predicts left-out architectures
and sources of both chips best: with nothing in common AX630C's are wronger by a fifth, with as much
as the residuals' own likelihood asks for AX650N's by two fifths."""
COMPILER_TRUST = 0.5
"""Weight of the compiler's own cycle counts beside times measured on boards."""
OLD_TOOLCHAIN_TRUST = 0.4
"""Weight of builds by Pulsar2 2.x: the mechanisms are those of 3.x and later, and a toolchain
generation makes 10 % and more of difference."""


class Effects:
    """Which rows share an architecture or a source within a group, how far each is trusted, and
    what each counts were it independent of the others (``shares``)."""

    def __init__(self, rows: Sequence[Measurement], models: Mapping[str, ModelConfig]) -> None:
        self.trust = np.array([_trust(row) for row in rows])
        architectures = _same([(architecture(r, models), group(r.metric)) for r in rows])
        sources = _same([(row.source, group(row.metric)) for row in rows])
        count = Counter(series(row) for row in rows)
        # A ladder of 17 chunks repeats one configuration's errors: its shape counts once.
        repeats = np.array([float(count[series(row)]) for row in rows])
        self.shares = self.trust**2 / repeats
        shared = ARCHITECTURE * architectures + SOURCE * sources
        self._covariance = NOISE**2 * (shared + OWN * np.diag(repeats))

    def whitener(self, rows: npt.NDArray[np.intp]) -> Floats:
        """The matrix [len(rows), all rows] that turns the errors of ``rows`` into independent ones
        of variance 1; columns of other rows are zero."""
        chosen = np.linalg.cholesky(self._covariance[np.ix_(rows, rows)])
        whole = np.zeros((len(rows), len(self.trust)))
        whole[:, rows] = np.linalg.inv(chosen) * self.trust[rows]
        return whole


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
