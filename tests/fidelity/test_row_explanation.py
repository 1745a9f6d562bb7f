"""What ``axsim validate --explain`` finds."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from axsim.errors import InputError
from axsim.fidelity.ledger import Measurement, load_ledger, shipped_ledger
from axsim.fidelity.predict import compare, shipped_chips
from axsim.fidelity.row_explanation import STEP, RowExplanation, changed, explain_row, numbers
from axsim.fidelity.validate import architectures
from axsim.spec.chip import load_chip
from axsim.system.metrics import LEDGER as METRICS

MODELS = architectures()
CHIPS = shipped_chips()
LEDGER = load_ledger(shipped_ledger())
NETWORKS = load_ledger(shipped_ledger().with_name("cnn.csv"))
CHIP = CHIPS["ax630c"]


def explained(row: Measurement, *others: Measurement) -> RowExplanation:
    return explain_row(row.id, (row, *others), MODELS, CHIPS)


@pytest.mark.parametrize("metric", METRICS)
def test_the_parts_are_the_predicted_time(metric: str) -> None:
    row = next(row for row in (*LEDGER, *NETWORKS) if row.metric == metric)
    found = explained(row)
    predicted = found.compared.predicted
    total = 1e3 / predicted if metric == "decode_tokens_per_s" else predicted
    assert found.total == pytest.approx(total)
    for parts in (found.operators, found.engines):
        assert sum(parts.values()) == pytest.approx(total, rel=1e-6)
        assert abs(parts.get("around the NPU", 0.0)) < 0.2 * total
        assert list(parts.values()) == sorted(parts.values(), reverse=True)
    assert all(0 < share <= 1.001 for share in found.busy.values())


def test_an_elasticity_says_what_a_change_does() -> None:
    row = next(row for row in LEDGER if row.id == "P002")
    found = explained(row)
    assert found.elasticities
    for each in found.elasticities[:4]:
        other = changed(CHIP, each.key, each.value * (1 + STEP))
        (moved,) = compare((row,), MODELS, {"ax630c": other})
        ratio = moved.predicted / found.compared.predicted
        assert math.log(ratio) / math.log1p(STEP) == pytest.approx(each.elasticity)


def test_a_faster_clock_shortens_compute_and_dram_shortens_decode() -> None:
    tower = explained(next(row for row in LEDGER if row.id == "P002"))
    speed = explained(next(row for row in LEDGER if row.metric == "decode_tokens_per_s"))
    bandwidth = {each.key: each.elasticity for each in speed.elasticities}
    assert bandwidth["calibrated.dram_efficiency"] < -0.7
    assert {each.key: each.elasticity for each in tower.elasticities}
    assert any(each.calibrated for each in tower.elasticities)


def test_numbers_can_be_changed_where_they_are() -> None:
    found = dict(numbers(CHIP))
    assert {"calibrated.dram_efficiency", "npu.conv.fill_bytes_per_cycle"} <= found.keys()
    for key, value in found.items():
        assert dict(numbers(changed(CHIP, key, 2 * value)))[key] == 2 * value
    assert load_chip("ax630c") == CHIP


def test_rows_of_the_same_parameters_and_the_opposite_error_disagree() -> None:
    base = Measurement("a", "ax630c", "SmolLM2-135M", "post_ms", 1.0, weight_dtype="s8")
    rows = (
        base,
        replace(base, id="b", model="Qwen3-0.6B"),
        replace(base, id="c", model="SmolLM2-360M"),
        replace(base, id="d", model="Qwen3-1.7B", chip="ax650n"),
        replace(base, id="e", model="Qwen2.5-0.5B", metric="decode_tokens_per_s"),
    )
    times = [each.predicted for each in compare(rows, MODELS, CHIPS)]
    wrong = (1.1, 0.9, 1.1, 0.9, 1.1)  # e is a rate: predicted too high, its time is too short
    rows = tuple(
        replace(row, value=time / factor)
        for row, time, factor in zip(rows, times, wrong, strict=True)
    )
    found = explain_row("a", rows, MODELS, CHIPS)
    assert {each.row.id for each in found.disagreeing} == {"b", "e"}
    for each in found.disagreeing:
        assert each.time_error < 0
        assert 0.5 <= each.shared <= 1
    assert found.compared.error == pytest.approx(0.1)


def test_an_unknown_row_is_told_with_those_that_resemble_it() -> None:
    with pytest.raises(InputError, match=r"no row 'P0877'.*P087"):
        explain_row("P0877", LEDGER, MODELS, CHIPS)
    with pytest.raises(InputError, match="P001"):
        explain_row("zzz", LEDGER, MODELS, CHIPS)


def test_a_row_that_cannot_be_predicted_is_told_with_its_reason() -> None:
    row = replace(LEDGER[0], id="x", image_size=225, line=7)
    with pytest.raises(InputError, match=r"line 7: x: .*multiple of 14"):
        explain_row("x", (row,), MODELS, CHIPS)
