"""Intervals follow from the errors of rows that were left out."""

from __future__ import annotations

import math
import random
from collections import defaultdict
from dataclasses import replace

import pytest

import axsim
from axsim.compiler.partition import Deployment
from axsim.fidelity.coverage import Judged
from axsim.fidelity.groups import group
from axsim.fidelity.intervals import (
    ENOUGH,
    FEWEST,
    LEAST,
    MOST,
    WIDEST,
    Evidence,
    coverage_scale,
    measured_name,
    shipped_evidence,
    student,
)
from axsim.fidelity.ledger import load_ledger, shipped_ledger, shipped_networks
from axsim.fidelity.left_out import LeftOut, read, shipped_left_out, shipped_path, write
from axsim.fidelity.prediction import Interval
from axsim.fidelity.regime import Regime, regime_of, regime_of_metric, unanchored
from axsim.fidelity.validate import Validation, architectures, validate
from axsim.spec.chip import load_chip
from axsim.spec.descriptor import override
from axsim.spec.workload import load_workload

AGAIN = "python tests/record_calibration.py, and commit what it changes"
ROW = LeftOut("a", "ax650n", "A", "vision", "u8", False, 0, 256, 0.01, 0.04, 0.2, 0.0)
KINDS = sorted({row.group for row in shipped_left_out()} - {"compiler"})
TRANSFORMERS = [kind for kind in KINDS if kind != "graph"]


@pytest.fixture(scope="module")
def found() -> Validation:
    return validate([*load_ledger(shipped_ledger()), *load_ledger(shipped_networks())])


def rows(*errors: float, **changes: object) -> list[LeftOut]:
    """One row of each error, each of an architecture of its own."""
    return [
        replace(ROW, id=str(i), architecture=str(i), left_out=error, **changes)  # type: ignore[arg-type]
        for i, error in enumerate(errors)
    ]


def test_the_shipped_errors_are_those_of_the_shipped_chips(found) -> None:
    recorded = {row.id: row for row in shipped_left_out()}
    assert recorded.keys() == {each.row.id for each in found.compared}, AGAIN
    for each in found.compared:
        own = recorded[each.row.id]
        assert math.log1p(each.error) == pytest.approx(own.fitted, abs=1e-3), (each.row.id, AGAIN)
        chip = load_chip(own.chip)
        regime = regime_of(each.row, architectures(), float_matmul=chip.npu.conv.float_matmul)
        assert own.regime == regime, (each.row.id, AGAIN)
        assert own.chip == each.row.chip
        assert own.group == group(each.row.metric)


@pytest.mark.parametrize(
    "kind", [k for k in KINDS if sum(row.group == k for row in shipped_left_out()) >= ENOUGH]
)
def test_intervals_hold_nine_in_ten_rows_of_architectures_left_out(found, kind: str) -> None:
    judged = [
        found.judged[each.row.id] for each in found.compared if group(each.row.metric) == kind
    ]
    assert len(judged) >= ENOUGH
    assert all(each.left_out for each in judged)
    assert 0.85 <= sum(each.holds for each in judged) / len(judged) <= 0.97


def test_intervals_hold_nine_in_ten_of_all_rows(found) -> None:
    assert 0.85 <= found.boards.coverage <= 0.97
    assert 0.85 <= found.overall.coverage <= 0.97


def test_every_prediction_carries_its_interval() -> None:
    (result,) = axsim.run("qwen3_0_6b", "ax630c", timing_only=True).variants[:1]
    assert result.predictions
    for prediction in result.predictions.values():
        low, high = prediction.interval
        assert -low == high
        assert LEAST <= high < 0.5
        assert prediction.extrapolated == ""
        assert prediction.to_dict()["extrapolated"] is None


def test_a_sum_is_as_sure_as_its_parts_by_their_shares() -> None:
    result = axsim.run("internvl2_1b", "ax650n", variants=["224-u8"], timing_only=True)[0]
    vision, prompt = result.vision_encode_ms.interval.high, result.ttft_ms.interval.high
    whole = result.image_to_first_token_ms
    share = result.ttft_ms.value / whole.value
    assert whole.interval.high == pytest.approx(share * prompt + (1 - share) * vision)


@pytest.mark.parametrize("chip", shipped_evidence().chips)
def test_a_chip_that_nobody_measured_is_never_surer_than_one_that_somebody_did(chip: str) -> None:
    own = load_chip(chip)
    assert measured_name(own) == chip
    copied = own.model_copy(update={"name": "mine"})
    changed = override(own, {"dram.width_bits": 128})
    assert measured_name(copied) is measured_name(changed) is None
    evidence = shipped_evidence()
    for kind in KINDS:
        assert evidence.half_width(None, kind) >= evidence.half_width(chip, kind)
    for workload in ("internvl2_1b", "qwen3_0_6b"):
        ours = axsim.run(workload, own, timing_only=True)
        for other in (copied, changed):
            for a, b in zip(ours, axsim.run(workload, other, timing_only=True), strict=True):
                for name, prediction in a.predictions.items():
                    if not prediction.extrapolated:
                        assert b.predictions[name].interval.high >= prediction.interval.high - 1e-9


def test_a_link_of_other_hosts_widens_intervals_by_what_it_would_be_there() -> None:
    """A card has its silicon's interval, and on top what a round trip of 0.01 or 0.46 ms around
    every invocation in place of 0.18 would make of the prediction."""
    chosen = {"variants": ["224-u8"], "timing_only": True}
    card = axsim.run("internvl2_1b", "ax8850_card", **chosen)[0]
    (own,) = axsim.run("internvl2_1b", "ax650n", **chosen)
    linked = axsim.run("internvl2_1b", "ax650n", overrides={"build.link": "pcie"}, **chosen)[0]
    for name, found in card.predictions.items():
        assert "from other hosts, 0.01 to 0.46 ms an invocation" in found.extrapolated
        assert found.interval == pytest.approx(linked.predictions[name].interval)
        assert own.predictions[name].extrapolated == ""
    for name, calls in (("vision_encode_ms", 1), ("ttft_ms", 24 + 1), ("token_ms", 24 + 1)):
        found, plain = card.predictions[name], own.predictions[name].interval.high
        low, high = found.interval
        assert low == pytest.approx(-plain - 0.17 * calls / found.value)
        assert high == pytest.approx(plain + 0.28 * calls / found.value)
    token = card.predictions["token_ms"]
    speed = card.predictions["decode_tokens_per_s"].interval
    assert speed.low == pytest.approx(
        -own.predictions["token_ms"].interval.high
        + token.value / (token.value + 25 * 0.28) - 1
    )  # fmt: skip
    mine = {"host.pcie_ms": 0.2}  # one's own measured: nothing is from elsewhere
    measured = axsim.run("internvl2_1b", load_chip("ax8850_card", mine), **chosen)[0]
    assert not any(each.extrapolated for each in measured.predictions.values())


def test_a_mode_by_turns_is_extrapolated_and_says_what_is_assumed() -> None:
    for chip, mode, doubted in (
        ("ax630c", "NPU1", True),
        ("ax630c", "NPU2", False),
        ("ax650n", "NPU1", False),
    ):
        keys = {"build.npu_mode": mode}
        (found,) = axsim.run(
            "internvl2_1b", chip, variants=["224-u8"], overrides=keys, timing_only=True
        )
        for prediction in found.predictions.values():
            assert ("neighbour by turns is assumed idle" in prediction.extrapolated) is doubted
            if doubted:
                widest = max(shipped_evidence().half_width(chip, kind) for kind in KINDS)
                assert prediction.interval.high > widest


def test_what_was_reported_of_bf16_prefill_stands_beside_it() -> None:
    keys = {"build.weight_dtype": "bf16"}
    found = axsim.run("qwen3_0_6b", "ax650n", overrides=keys, timing_only=True)[0]
    assert "no ttft in bf16 was measured, and one public report has" in found.ttft_ms.extrapolated
    assert found.token_ms.extrapolated == "no decode in bf16 was measured"


@pytest.mark.parametrize("chip", ["ax630c", "ax650n", None])
@pytest.mark.parametrize("kind", KINDS)
def test_what_is_extrapolated_is_less_sure_than_anything_that_is_not(chip, kind) -> None:
    evidence = shipped_evidence()
    known = [evidence.half_width(chip, each) for each in {*TRANSFORMERS, kind}]
    found = evidence.unvouched(chip, kind)
    assert found > max(known) or found == WIDEST


def test_an_extrapolation_adds_the_error_of_the_widest_group() -> None:
    evidence = shipped_evidence()
    deployment = Deployment(
        load_workload("internvl2_1b", {"build.vision_dtype": "bf16"}), load_chip("ax630c")
    )
    regime = regime_of_metric(deployment, "vision")
    interval, reason = evidence.expect("ax630c", regime)
    assert "bf16" in reason
    widths = {kind: evidence.half_width("ax630c", kind) for kind in KINDS}
    widest = max(widths[kind] for kind in TRANSFORMERS)
    assert interval.high == pytest.approx(math.hypot(widths["vision"], widest))
    network = evidence.expect("ax630c", Regime("graph", "u16"))
    assert "u16" in network.extrapolated
    widest = max(widths.values())
    assert network.interval.high == pytest.approx(math.hypot(widths["graph"], widest))
    result = axsim.run(deployment.workload, "ax630c", timing_only=True)[0]
    for metric in ("vision_encode_ms", "image_to_first_token_ms"):
        assert reason in result.predictions[metric].extrapolated
        assert result.predictions[metric].to_dict()["extrapolated"]


def test_rows_of_one_architecture_count_once() -> None:
    (one,) = rows(0.1)
    ladder = [replace(one, id=f"b{n}") for n in range(8)]
    for extra in ([], rows(0.02, 0.03)[1:]):
        once = Evidence([one, *extra]).half_width("ax650n", "vision")
        assert Evidence([*ladder, *extra]).half_width("ax650n", "vision") == pytest.approx(once)


def test_fewer_architectures_larger_errors_and_open_parameters_widen_intervals() -> None:
    def width(errors: list[LeftOut]) -> float:
        return Evidence(errors).half_width("ax650n", "vision")

    assert width(rows(0.05, 0.05)) > width(rows(*[0.05] * 6))
    assert width(rows(0.08, 0.08)) > width(rows(0.05, 0.05))
    assert width(rows(0.05, 0.05, spread=0.05)) > width(rows(0.05, 0.05))
    assert width(rows(0.0, 0.0)) > LEAST


def test_a_row_has_no_part_in_its_own_interval() -> None:
    errors = rows(0.02, 0.02, 0.02, 0.3)
    evidence = Evidence(errors)
    without = evidence.half_width("ax650n", "vision", "3")
    assert without < evidence.half_width("ax650n", "vision")
    assert without == Evidence([*errors[:3], replace(errors[3], left_out=9.0)]).half_width(
        "ax650n", "vision", "3"
    )


def test_few_rows_of_a_chip_lean_on_the_groups_other_chips() -> None:
    calm = rows(0.02, chip="ax630c")
    shaken = [*calm, *rows(0.2, 0.2, 0.2)]
    assert Evidence(shaken).half_width("ax630c", "vision") > Evidence(calm).half_width(
        "ax630c", "vision"
    )


def test_widths_are_scaled_to_hold_what_was_left_out() -> None:
    rng = random.Random(1)
    for count in (10, 11, 16, 25, 40, 200):
        for _ in range(50):
            ratios = sorted(abs(rng.gauss(0, rng.choice((0.2, 1, 3)))) for _ in range(count))
            scale = coverage_scale(ratios)
            held = sum(ratio <= scale for ratio in ratios) / count
            assert FEWEST <= held <= max(MOST, 1 - 1 / count)
            if FEWEST <= sum(ratio <= 1 for ratio in ratios) / count <= MOST:
                assert scale == 1


def test_equal_errors_are_inside_together() -> None:
    ratios = [0.1] * 14 + [0.5, 0.5]
    assert coverage_scale(ratios) == pytest.approx(0.5, rel=1e-5)


def test_student_is_the_normal_for_many() -> None:
    assert [student(n) for n in range(1, 40)] == sorted(
        (student(n) for n in range(1, 40)), reverse=True
    )
    assert student(1000) == pytest.approx(1.645, abs=0.01)


@pytest.mark.parametrize(
    ("error", "inside"), [(0.0, True), (0.1, True), (0.12, False), (-0.09, True), (-0.1, False)]
)
def test_an_interval_is_about_the_prediction(error: float, inside: bool) -> None:
    """1.1 predicted for 1 measured: the measured value is 9 % below the prediction."""
    assert Judged(Interval(-0.1, 0.1), "", error, False).holds is inside


def test_a_file_of_something_else_is_not_taken_for_errors_of_rows_left_out(tmp_path) -> None:
    path = tmp_path / "notes.csv"
    path.write_text("see page 1\n")
    with pytest.raises(axsim.InputError, match=r"notes\.csv: is no file of rows left out"):
        read(path)


def test_files_come_back_as_they_were(tmp_path) -> None:
    some = (ROW, replace(ROW, id="b", float_matmul_on_conv=True))
    path = tmp_path / "left.csv"
    with path.open("w") as file:
        write(some, file)
    assert read(path) == some
    assert read(tmp_path / "none.csv") == ()
    with path.open("w") as file:
        write(shipped_left_out(), file)
    assert path.read_text() == shipped_path().read_text()


def test_no_architecture_is_counted_twice() -> None:
    seen = defaultdict(set)
    for row in shipped_left_out():
        seen[row.chip, row.id].add(row.architecture)
    assert all(len(each) == 1 for each in seen.values())


@pytest.mark.parametrize(
    ("regime", "says"),
    [
        (Regime("vision", "u8", tokens=256), ""),
        (Regime("vision", "u8", tokens=2000), ""),
        (Regime("vision", "u8", tokens=2100), "more than twice the 1024"),
        (Regime("vision", "bf16", tokens=256), "no vision in bf16"),
        (Regime("graph", "u8"), "no graph was measured"),
        (Regime("ttft", "s8", False, 128, 1024), ""),
        (Regime("ttft", "s8", False, 320, 640), "a chunk of 320 is longer than the 128"),
        (Regime("ttft", "s4", False, 128, 128), "no ttft in s4"),
        (Regime("prefill", "s8", True, 128, 128), "no s8 with float_matmul_on_conv"),
    ],
)
def test_what_anchors_a_regime(regime: Regime, says: str) -> None:
    anchors = [
        Regime("vision", "u8", tokens=1024),
        Regime("vision", "u16", tokens=4096),
        Regime("prefill", "s8", False, 128, 512),
        Regime("post", "s8"),
    ]
    reason = unanchored(regime, anchors)
    assert says in reason
    assert bool(reason) == bool(says)
