from __future__ import annotations

import pytest

import axsim
from axsim import InputError
from axsim.fidelity.ledger import shipped_graphs
from axsim.show.extrapolated import mark
from axsim.show.plots import latency_bars, roofline
from axsim.show.plots.latency import PARTS, TOKEN_PARTS
from axsim.show.plots.roofline import LONGEST
from axsim.show.tables import number
from tests.runs.tiny import DECODER, VISION, ModelConfig, workload
from tests.show.plots.reading import drawn_texts, overlapping, smallest_text, texts


def stacked(axes) -> list[float]:
    """The end of each bar."""
    ends: dict[float, float] = {}
    for container in axes.containers:
        for bar in container:
            assert bar.get_x() == pytest.approx(ends.get(bar.get_y(), 0.0))
            ends[bar.get_y()] = bar.get_x() + bar.get_width()
    return [ends[height] for height in sorted(ends)]


def test_bars_are_the_predictions(small, large) -> None:
    figure = latency_bars([small, large])
    first, token = figure.axes
    variants = [*small, *large]
    expected = [each.image_to_first_token_ms.value for each in variants]
    assert stacked(first) == pytest.approx(expected)
    assert stacked(token) == pytest.approx([each.token_ms.value for each in variants])
    assert [c.get_label() for c in first.containers] == list(PARTS.values())
    assert [c.get_label() for c in token.containers] == list(TOKEN_PARTS.values())
    vision = first.containers[1]
    assert [bar.get_width() for bar in vision] == [each.vision_encode_ms.value for each in variants]
    assert first.get_xlabel() == "image to first token, ms"
    assert token.get_xlabel() == "one decode token, ms"


def test_names_and_totals_are_readable(small, large) -> None:
    figure = latency_bars([small, large])
    labels = [each.get_text() for each in figure.axes[0].get_yticklabels()]
    assert labels == [f"{run.chip}  {each.name}" for run in (small, large) for each in run]
    found = texts(figure)
    for prediction in (small[0].image_to_first_token_ms, small[0].token_ms):
        text = f"{number(prediction.value)} ±{prediction.interval.high:.0%}{mark(prediction)}"
        assert text in found
    assert smallest_text(figure) >= 8
    assert overlapping(drawn_texts(figure)) == []
    assert [t.get_text() for t in latency_bars(small).axes[0].get_yticklabels()] == [
        each.name for each in small
    ]


def test_stages_differ_in_greyscale(small) -> None:
    from matplotlib.colors import to_rgb

    seen = set()
    for axes in latency_bars(small).axes:
        for container in axes.containers:
            bar = container[0]
            red, green, blue = to_rgb(bar.get_facecolor())
            grey = round(0.299 * red + 0.587 * green + 0.114 * blue, 1)
            seen.add((container.get_label(), grey, bar.get_hatch()))
    looks = [look for _, *look in seen]
    assert len(seen) == 5
    assert all(looks.count(look) == 1 for look in looks)


def test_one_variant_and_parts_that_are_missing(small) -> None:
    assert len(latency_bars(small[0]).axes[0].containers[0]) == 1
    blind = axsim.run(workload(ModelConfig(DECODER)), "ax630c", timing_only=True)
    first, token = latency_bars(blind).axes
    assert first.get_xlabel() == "prompt to first token, ms"
    assert stacked(first) == pytest.approx([blind[0].ttft_ms.value])
    assert stacked(token) == pytest.approx([blind[0].token_ms.value])
    dumb = axsim.run(
        workload(ModelConfig(None, VISION, None), new_tokens=1), "ax630c", timing_only=True
    )
    (only,) = latency_bars(dumb).axes
    assert only.get_xlabel() == "image to result, ms"
    total = dumb[0].preprocess_ms + dumb[0].vision_encode_ms.value
    assert stacked(only) == pytest.approx([total])


def test_nothing_to_draw() -> None:
    with pytest.raises(InputError, match="nothing to draw"):
        latency_bars([])


def test_a_networks_measured_time_is_marked_too() -> None:
    file = shipped_graphs() / "mobilenet_v2.onnx"
    if not file.exists():
        pytest.skip("the networks of the ledger are not here")
    result = axsim.run(file, "ax630c", timing_only=True)
    measured = result[0].graph_ms.measured
    (mark_,) = [line for line in latency_bars(result).axes[0].lines if line.get_marker() == "v"]
    assert list(mark_.get_xdata()) == [measured.value]
    named = [text for text in texts(roofline(result[0])) if text.endswith("Conv")]
    assert named
    assert all(len(text) <= LONGEST for text in named)
