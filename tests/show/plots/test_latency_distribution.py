"""How long requests take, as curves."""

from __future__ import annotations

import pytest

from axsim.runs.shared_results import ScenarioResult
from axsim.runs.shared_run import prepared, simulated
from axsim.show.plots import latency_distribution, tenants_timeline
from tests.show.plots.reading import drawn_texts, overlapping
from tests.system.shared import TWO, scenario, tiny


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> ScenarioResult:
    found = scenario(
        tmp_path_factory.mktemp("pictures"), TWO, s=0.1,
        many=tiny({"every_ms": 4}, partition="one", deadline_ms=33),
        few=tiny({"every_ms": 30, "start_ms": 1}, partition="other", deadline_ms=40),
    )  # fmt: skip
    return simulated(*prepared(found, "ax650n", {}), alone=False, window_s=(0.0, 0.0005))


def test_marks_are_on_the_steps_where_enough_requests_tell_them(result: ScenarioResult) -> None:
    axes = latency_distribution(result).axes[0]
    curves = {line.get_label(): line for line in axes.lines if "ms of" in line.get_label()}
    assert [label.split(",")[0] for label in curves] == ["many", "few"]
    many, few = curves
    assert many.endswith("ms of 25")
    assert "p95" in many
    assert "longest" in few
    marks = [line for line in axes.lines if line.get_linestyle() == "None"]
    for curve, line, expected in zip(curves.values(), marks, ([0.5, 0.95], [0.5]), strict=True):
        assert list(line.get_ydata()) == expected
        xs, ys = curve.get_xdata(), curve.get_ydata()
        for x, y in zip(line.get_xdata(), line.get_ydata(), strict=True):
            risers = zip(xs[1::2], ys[1::2], ys[2::2], strict=True)
            assert any(x == at and low < y <= high for at, low, high in risers)


def test_names_of_close_deadlines_do_not_cover_each_other(result: ScenarioResult) -> None:
    texts = drawn_texts(latency_distribution(result))
    assert {"many due", "few due"} <= {text.get_text() for text in texts}
    assert overlapping(texts) == []


def test_an_empty_window_says_so(result: ScenarioResult) -> None:
    axes = tenants_timeline(result).axes[0]
    assert not axes.texts
    waiting = [text.get_text() for text in tenants_timeline(result).legends[0].get_texts()]
    assert "waiting" not in waiting  # nobody waits for the other's partition
    rare = prepared(result.scenario, "ax650n", {"tenants.many.arrivals.every_ms": 60})
    late = simulated(*rare, alone=False, window_s=(0.098, 0.0985))
    (text,) = tenants_timeline(late).axes[0].texts
    assert text.get_text().startswith("nothing happens from 98 to 98.5 ms")
