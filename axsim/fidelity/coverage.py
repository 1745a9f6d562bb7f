"""Whether intervals hold what was measured.

A row that the fit has seen is judged as if its architecture had been left out: the prediction of
the fit without it, and the interval that the other architectures give.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from axsim.fidelity.intervals import Evidence, measured_name, shipped_evidence
from axsim.fidelity.left_out import LeftOut, shipped_left_out
from axsim.fidelity.predict import Compared
from axsim.fidelity.prediction import Interval
from axsim.fidelity.regime import regime_of
from axsim.models.config import ModelConfig
from axsim.spec.chip import Chip

SAME = 5e-3
"""A row of the ledger is the one that was left out when its error is the recorded one to this
fraction: users' ledgers have ids of their own, and chips change."""


@dataclass(frozen=True)
class Judged:
    """The interval of a row's prediction. ``error`` is predicted / measured − 1, ``left_out``
    whether it is that of a fit without the row's architecture. ``extrapolated`` says why nothing
    else that was measured anchors the row's regime; it is empty where something does."""

    interval: Interval
    extrapolated: str
    error: float
    left_out: bool

    @property
    def holds(self) -> bool:
        """Whether the measured value lies inside the interval."""
        share = 1 / (1 + self.error) - 1  # measured / predicted − 1
        return self.interval.low <= share <= self.interval.high


def judge(
    compared: Iterable[Compared], models: Mapping[str, ModelConfig], chips: Mapping[str, Chip]
) -> dict[str, Judged]:
    """The judgement of every row that has a prediction, by its id."""
    evidence = shipped_evidence()
    measured = {name: measured_name(chip) for name, chip in chips.items()}
    recorded = {(row.chip, row.id): row for row in shipped_left_out()}
    judged = {}
    for each in compared:
        if each.predicted is not None:
            name = each.row.chip.lower()
            own = recorded.get((measured[name] or "", each.row.id))
            judged[each.row.id] = _judge(each, own, evidence, measured[name], models, chips[name])
    return judged


def _judge(
    compared: Compared,
    recorded: LeftOut | None,
    evidence: Evidence,
    measured: str | None,
    models: Mapping[str, ModelConfig],
    chip: Chip,
) -> Judged:
    row = compared.row
    assert compared.error is not None
    regime = regime_of(row, models, float_matmul=chip.npu.conv.float_matmul)
    if recorded is not None and abs(math.log1p(compared.error) - recorded.fitted) < SAME:
        expected = evidence.expect(measured, regime, recorded.architecture)
        return Judged(*expected, math.expm1(recorded.left_out), True)
    return Judged(*evidence.expect(measured, regime), compared.error, False)
