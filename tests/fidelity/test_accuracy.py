"""How close predictions of the shipped ledger must be: the accuracy that axsim promises.

Bounds are fractions. They are targets set before the chips were calibrated, not what was reached.
"""

from __future__ import annotations

import pytest

from axsim.fidelity.validate import Accuracy, Validation, validate

ARTICLE = ("P001", "P002", "P003", "P004", "P005", "P006", "P007")
"""The vision times of the vendor's article: 224 and 448 px, U8 and U16, both chips."""


@pytest.fixture(scope="module")
def found() -> Validation:
    return validate()


def of(found: Validation, *metrics: str) -> Accuracy:
    rows = tuple(each for each in found.compared if each.row.metric in metrics)
    assert rows
    return Accuracy(", ".join(metrics), "", rows)


@pytest.mark.parametrize("row", ARTICLE)
def test_vision_times_of_the_article(found, row: str) -> None:
    (each,) = (each for each in found.compared if each.row.id == row)
    assert abs(each.error) <= 0.05


@pytest.mark.parametrize(
    ("metrics", "mape", "worst"),
    [
        (("decode_layer_ms", "post_ms", "decode_tokens_per_s"), 0.03, 0.08),
        (("prefill_layer_ms", "ttft_ms"), 0.05, 0.12),
        (("compiler_cycles",), 0.10, None),
    ],
)
def test_errors(found, metrics: tuple[str, ...], mape: float, worst: float | None) -> None:
    group = of(found, *metrics)
    assert group.mape <= mape
    assert group.worst is not None
    assert worst is None or max(group.errors) <= worst


def test_orderings(found) -> None:
    right, pairs = found.orderings
    assert pairs > 1000
    assert right / pairs >= 0.97
