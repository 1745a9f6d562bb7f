"""How close predictions of the shipped ledger must be: the accuracy that axsim promises.

Bounds are fractions. They are targets set before the chips were calibrated, not what was reached.
"""

from __future__ import annotations

import pytest

from axsim.fidelity.validate import Accuracy, Validation, validate
from axsim.spec.descriptor import data_folder

ARTICLE = ("P001", "P002", "P003", "P005", "P006", "P007", "P144")
"""The vision times of the vendor's article (224 and 448 px, U8 and U16, both chips) and the later
one that it had left open. P004 is not among them: AX630C's U16 tower at 224 px comes out 8 % slow
beside P144, which is 8 % fast: U16 is worth more time at 1025 tokens than at 257."""


@pytest.fixture(scope="module")
def found() -> Validation:
    return validate()


@pytest.fixture(scope="module")
def card() -> Validation:
    return validate(data_folder("measurements") / "card.csv")


def of(found: Validation, *metrics: str) -> Accuracy:
    rows = tuple(each for each in found.compared if each.row.metric in metrics)
    assert rows
    return Accuracy(", ".join(metrics), "", rows)


@pytest.mark.parametrize("row", ARTICLE)
def test_vision_times_of_the_article(found, row: str) -> None:
    (each,) = (each for each in found.compared if each.row.id == row)
    assert abs(each.error) <= 0.06


def test_the_one_that_is_further_off_is_known(found) -> None:
    (each,) = (each for each in found.compared if each.row.id == "P004")
    assert 0.06 < each.error < 0.08


@pytest.mark.parametrize(
    ("metrics", "mape", "worst"),
    [
        (("decode_layer_ms", "post_ms", "decode_tokens_per_s"), 0.03, 0.08),
        (("prefill_layer_ms", "ttft_ms"), 0.05, 0.12),
        (("vision_encode_ms",), 0.04, 0.08),
        (("compiler_cycles",), 0.035, None),
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
    assert right / pairs >= 0.98


def test_cards(card) -> None:
    """Rows that were not fitted: a card's, and the prefill of two newer packages."""
    assert not card.failures
    for metric, bound in (("decode_layer_ms", 0.08), ("post_ms", 0.03), ("ttft_ms", 0.08)):
        assert of(card, metric).mape <= bound, metric


def test_all(found) -> None:
    assert found.overall.mape <= 0.03
