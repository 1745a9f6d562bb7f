"""The prediction of every ledger row is on record: a change of more than 1 % is deliberate.

When one is: python tests/record_ledger.py, and commit what it changes.
"""

from __future__ import annotations

import json

import pytest

from axsim.fidelity.validate import Validation, validate
from tests.record_ledger import PREDICTIONS


@pytest.fixture(scope="module")
def found() -> Validation:
    return validate()


def test_predictions_stay(found) -> None:
    recorded = json.loads(PREDICTIONS.read_text())
    now = {each.row.id: each.predicted for each in found.compared}
    assert now.keys() == recorded.keys()
    moved = {
        row: (recorded[row], value)
        for row, value in now.items()
        if abs(value / recorded[row] - 1) > 0.01
    }
    assert not moved
