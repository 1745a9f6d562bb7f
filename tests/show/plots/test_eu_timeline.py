from __future__ import annotations

from collections import defaultdict

import pytest

from axsim import InputError
from axsim.show.palette import TASKS, task_name
from axsim.show.plots import eu_timeline
from tests.show.plots.reading import drawn_texts, legend_names, overlapping, smallest_text


def bars(axes) -> dict[tuple[int, str], list[tuple[float, float]]]:
    """Start and end of what is drawn, by row and kind."""
    found = {}
    for collection in axes.collections:
        paths = [path.get_extents() for path in collection.get_paths()]
        row = round((paths[0].y0 + paths[0].y1) / 2)
        found[row, collection.get_label()] = [(path.x0, path.x1) for path in paths]
    return found


def test_every_task_is_drawn(small) -> None:
    timeline = small["224-u8"].planned.of("decode")[0].timeline
    (axes,) = eu_timeline(timeline).axes
    names = [each.get_text() for each in axes.get_yticklabels()]
    assert names == [engine.name for engine in timeline.program.engines]
    assert axes.get_xlim() == (0, timeline.duration_ms)
    assert axes.get_xlabel() == "time, ms"
    expected = defaultdict(float)
    for _, task, start, end in timeline.slices():
        if end > start:
            name = task_name(task.kind, timeline.program.engines[task.engine].kind)
            expected[task.engine, name] += (end - start) / 1e3
    drawn = {key: sum(b - a for a, b in spans) for key, spans in bars(axes).items()}
    assert drawn.keys() == expected.keys()
    gap = timeline.duration_ms / 3000
    for key, spans in bars(axes).items():
        assert expected[key] <= drawn[key] + 1e-9
        assert drawn[key] <= expected[key] + gap * sum(
            task.engine == key[0] for _, task, _, _ in timeline.slices()
        )
        assert spans == sorted(spans)


def test_a_variant_shows_a_layer_of_each_stage(small, large) -> None:
    for run in (small, large):
        variant = run["448-u16"]
        figure = eu_timeline(variant)
        titles = [axes.get_title(loc="left").split(":")[0] for axes in figure.axes]
        assert titles == ["vision", "prefill", "decode", "post"]
        start, end = figure.axes[0].get_xlim()
        assert end - start == pytest.approx(variant.vision_encode_ms.value / 24, rel=0.05)
        assert "one of 24 equal layers" in figure.axes[0].get_title(loc="left")
        assert set(legend_names(figure)) == set(TASKS)
        assert smallest_text(figure) >= 8
        assert overlapping(drawn_texts(figure)) == []


def test_a_window_cuts(small) -> None:
    timeline = small["224-u8"].planned.of("vision")[0].timeline
    (axes,) = eu_timeline(timeline, window_ms=(2, 5)).axes
    assert axes.get_xlim() == (2, 5)
    for spans in bars(axes).values():
        assert all(2 <= a < b <= 5 for a, b in spans)
    (axes,) = eu_timeline(small["224-u8"], stages=["decode"], window_ms=(0.5, 1e6)).axes
    assert axes.get_xlim() == (0.5, small["224-u8"].planned.of("decode")[0].timeline.duration_ms)


def test_what_is_computed_is_written_where_it_is(small) -> None:
    timeline = small["448-u16"].planned.of("prefill")[0].timeline
    (axes,) = eu_timeline(timeline).axes
    row = [engine.kind for engine in timeline.program.engines].index("teng")
    (label,) = [text for text in axes.texts if text.get_text() == "attn.scores"]
    x, y = label.get_position()
    assert y == row
    tasks = [
        (start, end)
        for segment, task, start, end in timeline.slices()
        if task.engine == row and segment.steps[task.step].label == "attn.scores"
    ]
    assert min(tasks)[0] < x * 1e3 < max(tasks)[1]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"stages": ["visoin"]}, "did you mean 'vision'"),
        ({"window_ms": (3, 2)}, "empty"),
        ({"window_ms": (-1, 2)}, "empty"),
        ({"stages": ["decode"], "window_ms": (1e6, 2e6)}, "after the end of decode"),
    ],
)
def test_what_cannot_be_shown(small, options, message) -> None:
    with pytest.raises(InputError, match=message):
        eu_timeline(small["224-u8"], **options)
