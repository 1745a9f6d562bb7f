"""What Python prints of results is short and has units."""

from __future__ import annotations

import pytest

import axsim
from axsim.fidelity.prediction import Interval, Measured, Prediction
from axsim.fidelity.validate import validate
from axsim.runs.results import RunResult


@pytest.fixture(scope="module")
def result() -> RunResult:
    return axsim.run("internvl2_1b", "ax630c", timing_only=True)


def test_a_prediction_is_a_number_with_its_unit() -> None:
    measured = Measured(145.0, 145.0, 145.0, ("P002",), ("InternViT-300M",))
    found = Prediction(138.0804781, "ms", Interval(-0.1, 0.2), measured)
    assert str(found) == "138.1 ms ±20%, measured 145.0 (-4.8%)"
    assert repr(found) == f"<{found}>"
    assert f"{found:.2f}" == "138.08"
    assert f"{found}" == str(found)
    assert float(found) == found.value
    assert (found.low, found.high) == pytest.approx((0.9 * found.value, 1.2 * found.value))
    assert str(Prediction(2.0, "ms", extrapolated="far")) == "2.000 ms (* far)"


def test_results_print_as_one_table(result: RunResult) -> None:
    text = repr(result)
    assert text.splitlines()[0] == "InternVL2-1B on ax630c"
    assert "TTFT, ms" in text
    assert "448-u16" in text
    assert max(map(len, text.splitlines())) <= 100
    page = result._repr_html_()
    assert page.count("<table") == 1
    assert "138.1 ±16%" in page
    assert "TTFT, ms" in page


def test_a_variant_prints_its_figures(result: RunResult) -> None:
    lines = repr(result["224-u8"]).splitlines()
    assert lines[0] == "<InternVL2-1B 224-u8 on ax630c"
    assert any(line.startswith("  ttft_ms: 377.0 ms") for line in lines)


def test_an_unknown_variant_is_told_with_those_that_there_are(result: RunResult) -> None:
    with pytest.raises(KeyError, match="no variant 'nope'; there are 224-u8, 224-u16, 448-u8"):
        result["nope"]


def test_a_validation_prints_in_a_line() -> None:
    text = repr(validate())
    assert text.startswith("<Validation: <all: 155 rows, MAPE ")
    assert "\n" not in text


def test_axsim_shows_its_public_names_alone() -> None:
    assert {name for name in dir(axsim) if not name.startswith("__")} == set(axsim.__all__)


def test_a_mistyped_figure_is_told_with_the_nearest_name(result: RunResult) -> None:
    variant = result["224-u8"]
    assert not hasattr(variant, "tftt_ms")
    with pytest.raises(AttributeError, match=r"no attribute 'tftt_ms'; did you mean 'ttft_ms'"):
        _ = variant.tftt_ms
    with pytest.raises(AttributeError, match=r"no attribute 'qqq'$"):
        _ = variant.qqq
    assert variant.graph_ms is None  # a figure of other workloads
