"""The table of metrics: complete, consistent, and asked by everybody."""

from __future__ import annotations

import pytest

import axsim
from axsim.fidelity.ledger import shipped_graphs
from axsim.study.objective import direction_of
from axsim.system.metrics import LEDGER, METRICS, PREDICTED, WAITS


def test_sources_are_metrics_of_the_ledger_and_what_measurements_have_is_drawn() -> None:
    for metric in METRICS.values():
        assert set(metric.sources) <= set(LEDGER), metric.name
        assert bool(metric.of) == bool(metric.sources or metric.needs), metric.name
        assert bool(metric.marker) == metric.in_ledger, metric.name
    markers = [METRICS[name].marker for name in LEDGER]
    assert len(set(markers)) == len(markers)
    assert set(WAITS) <= {metric.name for metric in PREDICTED}


@pytest.mark.parametrize("metric", PREDICTED, ids=lambda metric: metric.name)
def test_a_result_has_each_metric_as_attribute_column_and_objective(metric) -> None:
    chip = axsim.load_chip("ax630c", {f"{metric.needs}.idle_w": 1.0} if metric.needs else {})
    if metric.sources == ("graph_ms",):
        file = shipped_graphs() / "squeezenet1_1.onnx"
        variant = axsim.run(file, chip, timing_only=True)[0]
    else:
        variant = axsim.run("internvl2_1b", chip, variants=["224-u8"], timing_only=True)[0]
    found = getattr(variant, metric.name)
    assert found == variant.predictions[metric.name]
    assert found.value == metric.of(variant.planned)
    assert variant.to_row()[metric.name] == found.value
    assert metric.name in dir(variant)
    assert direction_of(metric.name) == {"less": "min", "more": "max"}[metric.better]


def test_what_a_workload_does_not_have_is_none_and_a_wrong_name_an_error() -> None:
    variant = axsim.run("qwen3_0_6b", "ax630c", timing_only=True)[0]
    assert variant.vision_encode_ms is None
    assert variant.image_to_first_token_ms is None
    assert variant.ttft_ms is not None
    for name in ("tft_ms", "compiler_cycles", "__deepcopy__"):
        with pytest.raises(AttributeError, match=name):
            getattr(variant, name)
