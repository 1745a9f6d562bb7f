"""Errors, medians and orderings of a validation."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from axsim.errors import InputError
from axsim.fidelity.coverage import Judged
from axsim.fidelity.ledger import Measurement
from axsim.fidelity.left_out import shipped_left_out
from axsim.fidelity.predict import Compared
from axsim.fidelity.prediction import Interval
from axsim.fidelity.validate import Validation, validate
from axsim.spec.chip import load_chip
from axsim.spec.descriptor import override
from tests.fidelity.rows import DECODE, VISION, write

ROW = Measurement("a", "ax650n", "Qwen3-0.6B", "post_ms", 10.0)


def compared(*pairs: tuple[float, float | None]) -> Validation:
    return Validation(
        tuple(
            Compared(replace(ROW, id=str(index), value=measured), predicted, "")
            for index, (measured, predicted) in enumerate(pairs)
        )
    )


def test_errors() -> None:
    found = compared((10, 11), (20, 15), (30, 30), (1, None))
    (group,) = found.groups
    assert (group.metric, group.chip) == ("post_ms", "ax650n")
    assert group.errors == pytest.approx((0.1, 0.25, 0.0))
    assert group.mape == pytest.approx(0.35 / 3)
    assert group.median == pytest.approx(0.1)
    assert group.worst is not None
    assert group.worst.row.id == "1"
    assert group.worst.error == pytest.approx(-0.25)
    assert [each.row.id for each in found.failures] == ["3"]


def test_orderings_count_only_pairs_that_differ() -> None:
    assert compared((10, 1), (10.9, 0)).orderings == (0, 0)
    assert compared((10, 1), (12, 2), (15, 1.5)).orderings == (2, 3)
    assert compared((10, 1), (12, 1)).orderings == (0, 1)
    assert compared((10, 1), (12, None)).orderings == (0, 0)


def test_orderings_stay_inside_a_metric_and_chip() -> None:
    rows = [replace(ROW, id="b", chip="ax630c", value=99.0), replace(ROW, metric="ttft_ms")]
    found = Validation((Compared(ROW, 5.0), *(Compared(row, 1.0) for row in rows)))
    assert found.orderings == (0, 0)
    assert len(found.groups) == 3


def test_coverage_is_the_share_of_rows_inside_their_intervals() -> None:
    found = compared((10, 10.5), (10, 13), (10, 9.6), (10, None))
    assert found.overall.coverage is None
    judged = {
        each.row.id: Judged(Interval(-0.1, 0.1), "", each.error, False)
        for each in found.compared[:3]
    }
    assert Validation(found.compared, judged).overall.coverage == pytest.approx(2 / 3)


def test_the_90th_percentile() -> None:
    found = compared(*((100, 100 + error) for error in range(11)))
    assert found.overall.p90 == pytest.approx(0.09)
    assert compared((10, 11)).overall.p90 == pytest.approx(0.1)


def test_a_row_that_was_left_out_is_judged_as_if_it_had_never_been_seen() -> None:
    found = validate(chip="ax630c")
    assert all(each.left_out for each in found.judged.values())
    assert all(each["left_out_error"] is not None for each in found.to_list())
    recorded = {row.id: row.left_out for row in shipped_left_out()}
    for row, judged in found.judged.items():
        assert judged.error == pytest.approx(math.expm1(recorded[row]))
    slow = override(load_chip("ax630c"), {"calibrated.clock_mhz": 400})
    changed = validate(chip=slow)
    assert not any(each.left_out for each in changed.judged.values())


def test_nothing_predicted() -> None:
    found = compared((10, None))
    assert (found.overall.mape, found.overall.median, found.overall.worst) == (0.0, 0.0, None)


def test_a_users_ledger(tmp_path) -> None:
    rows = [{**VISION, "chip": "AX630C"}, {**DECODE, "chip": "ax999", "id": "D9"}, DECODE]
    found = validate(write(tmp_path / "l.csv", rows))
    assert [each.predicted is None for each in found.compared] == [False, True, False]
    first, second, _ = found.to_list()
    assert list(first)[:7] == ["id", "chip", "model", "metric", "measured", "predicted", "error"]
    assert list(first)[7:] == ["low", "high", "extrapolated", "covered", "left_out_error"]
    assert first["low"] < first["predicted"] < first["high"]
    assert first["covered"] is (first["low"] <= first["measured"] <= first["high"])
    assert first["extrapolated"] is first["left_out_error"] is None
    assert first["chip"] == "AX630C"
    assert first["error"] == pytest.approx(first["predicted"] / first["measured"] - 1)
    assert second["predicted"] is second["error"] is None
    assert "ax999" in second["reason"]
    assert [group.chip for group in found.groups] == ["ax630c", "ax650n", "ax999"]


def test_one_chip_and_a_chip_of_ones_own(tmp_path) -> None:
    path = write(tmp_path / "l.csv", [VISION, DECODE])
    (only,) = validate(path, chip="ax630c").compared
    assert only.row.id == "V1"
    slow = override(load_chip("ax630c"), {"calibrated.clock_mhz": 400})
    (slower,) = validate(path, chip=slow).compared
    assert slower.predicted > 1.2 * only.predicted
    with pytest.raises(InputError, match=r"no rows of ax650n.*ax630c"):
        validate(write(tmp_path / "m.csv", [VISION]), chip="ax650n")


def test_the_whole_ledger_is_predicted() -> None:
    found = validate()
    assert not found.failures
    assert len(found.compared) == 155
