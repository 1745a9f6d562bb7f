"""Intervals follow from the ledger's errors."""

from __future__ import annotations

import json
import math
import random
from dataclasses import replace

import pytest

import axsim
from axsim.fidelity.intervals import (
    LEAST,
    document,
    half_width,
    series_errors,
    shipped_intervals,
)
from axsim.fidelity.ledger import Measurement
from axsim.fidelity.predict import Compared
from axsim.fidelity.validate import Validation, validate
from axsim.spec.chip import load_chip
from axsim.system.metrics import PREDICTED
from tests.record_ledger import INTERVALS

ROW = Measurement("a", "ax650n", "Qwen3-0.6B", "post_ms", 10.0)


def test_the_shipped_intervals_are_those_of_the_shipped_ledger() -> None:
    """When this fails: python tests/record_ledger.py, and commit what it changes."""
    stored = json.loads(INTERVALS.read_text())
    computed = document(validate())
    assert stored.keys() == computed.keys()
    for chip, metrics in computed.items():
        assert stored[chip].keys() == metrics.keys()
        for metric, found in metrics.items():
            assert stored[chip][metric] == pytest.approx(found, abs=2e-3), (chip, metric)


def test_every_prediction_carries_its_interval() -> None:
    (result,) = axsim.run("qwen3_0_6b", "ax630c", timing_only=True).variants[:1]
    for name, prediction in result.predictions.items():
        low, high = prediction.interval
        assert -low == high == shipped_intervals(result.chip, name).high
        assert 0 < high < 0.5


def test_a_chip_without_rows_has_the_intervals_of_any() -> None:
    other = load_chip("ax630c").model_copy(update={"name": "mine"})
    for metric in PREDICTED:
        found = shipped_intervals(other, metric.name)
        assert found is not None
        assert found.high >= LEAST


def test_a_ladder_counts_once() -> None:
    rows = [Compared(replace(ROW, id=str(n), cached_tokens=n), 11.0) for n in range(17)]
    other = Compared(replace(ROW, model="Qwen3-1.7B"), 10.0)
    errors = series_errors([*rows, other, Compared(ROW, None)])
    assert errors == pytest.approx([math.log(1.1), 0.0])


def test_fewer_errors_make_wider_intervals() -> None:
    widths = [half_width([0.05] * count) for count in range(1, 40)]
    assert widths == sorted(widths, reverse=True)
    assert widths[-1] == pytest.approx(0.05 * 1.645, rel=0.05)
    assert half_width([0.0]) == LEAST


def test_the_interval_holds_nine_in_ten_new_errors() -> None:
    rng = random.Random(1)
    for count in (2, 5, 12):
        held = 0
        for _ in range(4000):
            errors = [rng.gauss(0, 0.1) for _ in range(count)]
            held += abs(rng.gauss(0, 0.1)) <= half_width(errors)
        assert held / 4000 == pytest.approx(0.9, abs=0.02)


def test_a_chip_with_two_series_has_no_intervals_of_its_own() -> None:
    rows = [Compared(replace(ROW, model=name), 11.0) for name in ("Qwen3-0.6B", "Qwen3-1.7B")]
    found = document(Validation(tuple(rows)))
    assert found["ax650n"] == {}
    assert found["any"]["token_ms"]["series"] == 2
