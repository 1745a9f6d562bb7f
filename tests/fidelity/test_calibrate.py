"""Calibration on ledgers whose answer is known: predictions of a chip with other values."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("scipy")

from axsim.errors import InputError
from axsim.fidelity.calibrate import Calibration, calibrate
from axsim.fidelity.chip_file import with_calibrated
from axsim.fidelity.cross_validation import CrossValidation, pooled, transferred
from axsim.fidelity.fit import covariance, with_parameters
from axsim.fidelity.ledger import COLUMNS, Measurement, load_ledger, shipped_ledger
from axsim.fidelity.left_out import LeftOut, read
from axsim.fidelity.left_out import write as write_rows
from axsim.fidelity.plausible import PLAUSIBLE, plausible
from axsim.fidelity.predict import compare, shipped_chips
from axsim.fidelity.validate import architectures
from axsim.spec.chip import load_chip
from axsim.spec.descriptor import find
from tests.cli.command import axsim, process
from tests.fidelity.rows import write

CHIP = load_chip("ax630c")
MEASURED = [load_chip(name) for name in ("ax630c", "ax650n")]
"""Nobody has published times of AX620Q's."""
MODELS = architectures()
BASE = Measurement("", "ax630c", "", "post_ms", 1.0, weight_dtype="s8")
ROWS = tuple(
    replace(BASE, id=str(index), **changes)  # type: ignore[arg-type]
    for index, changes in enumerate(
        [
            {"model": "SmolLM2-135M", "metric": "post_ms"},
            {"model": "SmolLM2-135M", "metric": "decode_layer_ms"},
            {"model": "ERNIE-4.5-0.3B", "metric": "decode_layer_ms"},
            {"model": "SmolLM2-360M", "metric": "ttft_ms"},
            {"model": "DeiT-tiny-224", "metric": "vision_encode_ms", "image_size": 224},
        ]
    )
)
FREE = ("dram_efficiency", "bf16_divisor")
KEEP = tuple(
    name
    for name in type(CHIP.calibrated).model_fields
    if getattr(CHIP.calibrated, name) and name not in FREE
)
TRUTH = with_parameters(CHIP, FREE, (0.6, 6.0))


def measured(rows: tuple[Measurement, ...] = ROWS) -> tuple[Measurement, ...]:
    """Rows with what the true chip takes."""
    compared = compare(rows, MODELS, {"ax630c": TRUTH})
    return tuple(replace(each.row, value=each.predicted) for each in compared)


def fitted(rows: tuple[Measurement, ...], **options: object) -> Calibration:
    return calibrate(CHIP, rows, MODELS, keep=KEEP, **options)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def found() -> Calibration:
    return fitted(measured(), cross_validation=True)


@pytest.fixture(scope="module")
def left_out(found) -> CrossValidation:
    return found.left_out


def test_the_values_are_found(found) -> None:
    assert [each.name for each in found.parameters] == list(FREE)
    assert found.chip.calibrated.bf16_divisor == pytest.approx(6, rel=0.01)
    assert found.chip.calibrated.dram_efficiency == pytest.approx(0.6, rel=0.01)
    assert found.validation.overall.mape < 0.005
    for parameter in found.parameters:
        assert parameter.error < 0.1
        assert not parameter.flags
        assert parameter.range.low < parameter.value < parameter.range.high
    assert dict(found.kept) == dict.fromkeys(KEEP, "kept as it is")


def test_what_determines_a_parameter(found) -> None:
    dram, products = found.parameters
    assert any("post_ms" in each.series or "decode" in each.series for each in dram.determined_by)
    assert "ttft" in products.determined_by[0].series
    for parameter in found.parameters:
        shares = [each.share for each in parameter.determined_by]
        assert shares == sorted(shares, reverse=True)
        assert sum(shares) <= 1 + 1e-9
        for each in parameter.determined_by:
            assert set(each.ids) <= {row.id for row in ROWS}


def test_each_model_is_left_out_once(left_out) -> None:
    models = [fold.label for fold in left_out.architectures]
    assert sorted(models) == sorted({row.model for row in ROWS})
    whole = pooled(left_out.architectures)
    assert whole.mape < 0.03
    assert len(whole.rows) == len(ROWS)


def test_each_source_is_left_out_once() -> None:
    rows = [replace(row, source="one" if index < 3 else "two") for index, row in enumerate(ROWS)]
    result = fitted(measured(tuple(rows)), cross_validation=True)
    assert result.left_out is not None
    assert [(fold.label, len(fold.accuracy.rows)) for fold in result.left_out.sources] == [
        ("one", 3),
        ("two", 2),
    ]


def test_a_row_left_out_has_no_part_in_its_prediction() -> None:
    rows = measured()
    wrong = (*rows[:4], replace(rows[4], value=2 * rows[4].value))
    result = fitted(wrong, cross_validation=True)
    assert result.left_out is not None
    (fold,) = (f for f in result.left_out.architectures if f.label == wrong[4].model)
    assert fold.accuracy.worst is not None
    assert fold.accuracy.worst.error == pytest.approx(-0.5, abs=0.02)


def test_a_chip_that_nobody_measured_takes_the_values_of_another() -> None:
    donor = with_parameters(load_chip("ax650n"), ("clock_mhz", "dram_efficiency"), (900.0, 0.5))
    borrowed = transferred(CHIP, [donor]).calibrated
    assert borrowed.dram_efficiency == 0.5
    nominal = CHIP.npu.nominal_clock_mhz / donor.npu.nominal_clock_mhz
    assert borrowed.clock_mhz == pytest.approx(900 * nominal)
    only_here = [
        name
        for name in type(CHIP.calibrated).model_fields
        if getattr(CHIP.calibrated, name) and not getattr(donor.calibrated, name)
    ]
    for name in only_here:
        low, high, _ = plausible(CHIP, name)
        assert getattr(borrowed, name) == pytest.approx(math.sqrt(low * high))


def test_the_chip_itself_is_left_out_when_another_is_measured() -> None:
    other = load_chip("ax650n")
    rows = (*measured(), replace(ROWS[0], id="x", chip="ax650n"))
    result = fitted(rows, cross_validation=True, others=[CHIP, other])
    assert result.left_out is not None
    (fold,) = result.left_out.chips
    assert "ax650n" in fold.label
    expected = compare(ROWS, MODELS, {"ax630c": transferred(CHIP, [other])})
    for a, b in zip(fold.accuracy.rows, expected, strict=True):
        assert a.predicted == pytest.approx(b.predicted)


def test_models_of_one_architecture_are_left_out_together() -> None:
    rows = (*ROWS[:2], replace(ROWS[1], id="a", model="Qwen2.5-0.5B"),
            replace(ROWS[1], id="b", model="InternVL2-1B"))  # fmt: skip
    result = fitted(measured(rows), cross_validation=True)
    assert result.left_out is not None
    assert [fold.label for fold in result.left_out.architectures] == [
        "SmolLM2-135M",
        "Qwen2.5-0.5B, InternVL2-1B",
    ]


def test_the_same_rows_give_the_same_values(found) -> None:
    assert fitted(measured(), cross_validation=True) == found
    moved = with_parameters(CHIP, FREE, (0.7, 5.0))
    other = calibrate(moved, measured(), MODELS, keep=KEEP)
    assert other.chip == found.chip


def test_a_parameter_that_no_row_depends_on_is_not_fitted() -> None:
    keep = tuple(name for name in KEEP if name != "s4_elements_per_cycle")
    result = calibrate(CHIP, measured(), MODELS, keep=keep)
    assert ("s4_elements_per_cycle", "no row depends on it") in result.kept
    assert result.chip.calibrated.s4_elements_per_cycle == CHIP.calibrated.s4_elements_per_cycle


def test_what_is_borrowed_or_fixed_is_not_fitted() -> None:
    assert CHIP.borrowed
    assert CHIP.fixed
    keep = tuple(name for name in KEEP if name not in (*CHIP.borrowed, *CHIP.fixed))
    result = calibrate(CHIP, measured(), MODELS, keep=keep)
    for name, source in CHIP.borrowed.items():
        assert (name, f"as fitted on {source}") in result.kept
    for name, why in CHIP.fixed.items():
        assert (name, f"fixed: {why}") in result.kept
    assert [each.name for each in result.parameters] == list(FREE)


@pytest.mark.slow
@pytest.mark.parametrize("chip", MEASURED, ids=lambda chip: chip.name)
def test_the_shipped_chips_are_what_calibrate_writes(chip) -> None:
    found = calibrate(chip, load_ledger(shipped_ledger()), MODELS).chip
    for name in type(chip.calibrated).model_fields:
        value = getattr(chip.calibrated, name)
        if value is not None:
            assert getattr(found.calibrated, name) == pytest.approx(value, rel=1e-3), name


def test_what_the_rows_leave_open_is_flagged() -> None:
    """Only heads: streams of weights, of which the clock is a small part."""
    rows = tuple(replace(ROWS[0], id=name, model=name) for name in ("SmolLM2-135M", "Qwen3-0.6B"))
    free = CHIP.model_copy(update={"fixed": {}})
    fields = type(CHIP.calibrated).model_fields
    keep = [n for n in fields if getattr(CHIP.calibrated, n) and n not in ("clock_mhz", FREE[0])]
    clock, dram = calibrate(free, measured(rows), MODELS, keep=keep).parameters
    assert "the rows do not determine it" in clock.flags
    assert "the rows do not determine it" not in dram.flags


def test_bad_requests() -> None:
    with pytest.raises(InputError, match=r"no rows of ax630c.*ax650n"):
        calibrate(CHIP, [replace(BASE, chip="ax650n")], MODELS)
    with pytest.raises(InputError, match=r"no calibrated parameter 'clock'.*clock_mhz"):
        calibrate(CHIP, ROWS, MODELS, keep=["clock"])
    with pytest.raises(InputError, match="cannot determine"):
        calibrate(CHIP, measured(ROWS[:1]), MODELS, keep=KEEP)
    with pytest.raises(InputError, match="unknown model 'Nothing'"):
        calibrate(CHIP, [replace(BASE, model="Nothing")], MODELS)


def test_covariance_of_a_known_problem() -> None:
    slopes = np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 2.0], [0.0, 2.0]])
    assert covariance(slopes / 0.1) == pytest.approx(0.01 * np.diag([1 / 2, 1 / 8]))
    assert np.isinf(covariance(np.array([[1.0, 1.0], [2.0, 2.0]]))).all()
    open_direction = np.array([[1.0, 0.0]])
    assert np.isinf(covariance(open_direction)).all()
    prior = covariance(open_direction, np.array([1.0, 4.0]))
    assert prior == pytest.approx(np.diag([1 / 2, 1 / 16]))


@pytest.mark.parametrize("chip", shipped_chips().values(), ids=lambda chip: chip.name)
def test_every_calibrated_parameter_has_a_range_that_holds_it(chip) -> None:
    for name in type(chip.calibrated).model_fields:
        value = getattr(chip.calibrated, name)
        if value is not None and name not in (*chip.fixed, *chip.borrowed):
            assert name in PLAUSIBLE or name == "clock_mhz"
            bounds = plausible(chip, name)
            assert 0 < bounds.low <= value <= bounds.high
            assert math.isfinite(bounds.high)


def test_writing_keeps_everything_but_the_values(tmp_path) -> None:
    source = find("chip", "ax630c")
    text = with_calibrated(source, {"clock_mhz": 777.5}, {"clock_mhz": "± 2 %"})
    assert "  clock_mhz: 777.5  # calibrated: ± 2 %" in text
    before, after = source.read_text().splitlines(), text.splitlines()
    assert sum(a != b for a, b in zip(before, after, strict=True)) == 1
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    assert load_chip(path).calibrated.clock_mhz == 777.5
    again = with_calibrated(path, {"clock_mhz": 778.0}, {"clock_mhz": "± 3 %"})
    assert again == text.replace("777.5", "778").replace("± 2 %", "± 3 %")


def test_writing_keeps_an_authors_comment_and_other_styles(tmp_path) -> None:
    lines = find("chip", "ax630c").read_text().split("calibrated:\n")
    values = CHIP.calibrated.model_dump(exclude_none=True)
    rest = ", ".join(f"{k}: {v}" for k, v in values.items() if k != "clock_mhz")
    path = tmp_path / "flow.yaml"
    path.write_text(f"{lines[0]}calibrated: {{clock_mhz: 700, {rest}}}  # by hand\n")
    text = with_calibrated(path, {"clock_mhz": 710.0}, {"clock_mhz": "± 1 %"})
    assert "{clock_mhz: 710, dram" in text
    assert text.endswith("}  # by hand\n")
    block = "".join(f"  {k}: {v}  # mine\n" for k, v in values.items())
    path.write_text(f"{lines[0]}calibrated:\n{block}")
    text = with_calibrated(path, {"clock_mhz": 710.0}, {"clock_mhz": "± 1 %"})
    assert "  clock_mhz: 710  # calibrated: ± 1 %; mine\n" in text


def test_command(tmp_path) -> None:
    def cell(value: object) -> str:
        return "" if value is None else str(value)

    rows = [{name: cell(getattr(row, name)) for name in COLUMNS} for row in measured()]
    ledger = write(tmp_path / "l.csv", rows)
    options = ["--ledger", ledger, "-o", "out.yaml", "--json", "out.json"]
    for name in KEEP:
        options += ["--keep", name]
    done = process("calibrate", "ax630c", *options, folder=tmp_path)
    assert max(map(len, done.stdout.splitlines())) <= 80
    for text in ("bf16_divisor", "standard", "Not fitted", "MAPE"):
        assert text in done.stdout
    chip = load_chip(tmp_path / "out.yaml")
    assert chip.calibrated.bf16_divisor == pytest.approx(6, rel=0.01)
    report = json.loads((tmp_path / "out.json").read_text())
    assert report["left_out"] is None
    assert report["parameters"][0]["value"] == chip.calibrated.dram_efficiency
    axsim("calibrate", "ax1", "-o", "/nowhere/x.yaml", code=2)


def test_command_writes_the_errors_of_rows_left_out(tmp_path) -> None:
    pairs = [{name: str(getattr(row, name) or "") for name in COLUMNS} for row in measured()]
    ledger = write(tmp_path / "l.csv", pairs)
    target = tmp_path / "left.csv"
    other = LeftOut("P1", "ax650n", "A", "post", "s8", False, 0, 0, 0.1, 0.2, math.nan, 0.3)
    with target.open("w") as file:
        write_rows([other], file)
    options = ["--ledger", ledger, "--cross-validate", "--left-out", target]
    for name in KEEP:
        options += ["--keep", name]
    done = axsim("calibrate", "ax630c", *options)
    for text in ("leave one architecture out", "leave one source out"):
        assert text in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80
    rows = read(target)
    assert [row.id for row in rows if row.chip == "ax630c"] == [row.id for row in ROWS]
    assert [row.id for row in rows if row.chip == "ax650n"] == ["P1"]
    axsim("calibrate", "ax630c", "--left-out", target, code=2)
