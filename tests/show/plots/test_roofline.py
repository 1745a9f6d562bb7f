from __future__ import annotations

import numpy as np
import pytest

import axsim
from axsim.show.ceilings import ceilings, roofline_points
from axsim.show.plots import roofline
from axsim.show.plots.roofline import SHAPES
from tests.show.plots.reading import drawn_texts, legend_names, overlapping, smallest_text, texts

STAGES = ("vision", "prefill", "decode", "post")


def drawn_points(axes):
    return [line for line in axes.lines if line.get_linestyle() == "None"]


@pytest.mark.parametrize("name", ["224-u8", "448-u16"])
def test_points_are_the_operators(small, large, name) -> None:
    for run in (small, large):
        (axes,) = roofline(run[name]).axes
        points = roofline_points(run[name])
        drawn = drawn_points(axes)
        assert len(drawn) == len(points)
        edge = max(p.intensity for p in points if p.dram_bytes)
        for line, point in zip(drawn, points, strict=True):
            assert line.get_label() == f"{point.part.name}: {point.label}"
            assert line.get_marker() == SHAPES[point.engine]
            assert line.get_ydata()[0] == point.gops
            x = line.get_xdata()[0]
            assert x == point.intensity if point.dram_bytes else x > edge


def test_the_roof_is_the_chips(small) -> None:
    variant = small["448-u16"]
    (axes,) = roofline(variant).axes
    slope, *flat = [line for line in axes.lines if line.get_linestyle() in ("-", "--")]
    (x0, x1), (y0, y1) = slope.get_data()
    assert y0 / x0 == pytest.approx(variant.chip.sustained_gbps)
    assert y1 / x1 == pytest.approx(variant.chip.sustained_gbps)
    roofs = ceilings(variant, STAGES)
    assert [line.get_ydata()[0] for line in flat] == [each.gops for each in roofs]
    assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")
    assert "GOP/s" in axes.get_ylabel()
    assert "operations per byte" in axes.get_xlabel()


def test_stages_can_be_chosen_and_the_longest_are_named(small) -> None:
    figure = roofline(small["448-u8"], ["prefill"], labels=3)
    names = [text.get_text() for text in figure.axes[0].texts]
    points = sorted(roofline_points(small["448-u8"], ["prefill"]), key=lambda each: -each.ms)
    assert {each.label for each in points[:3]} <= set(names)
    assert not {each.label for each in points[3:]} & set(names)
    assert legend_names(figure) == ["CONV", "TENG", "prefill"]


def test_nothing_overlaps(small, large) -> None:
    for run in (small, large):
        for variant in (run["224-u8"], run["448-u16"]):
            figure = roofline(variant)
            assert overlapping(drawn_texts(figure)) == []
            assert smallest_text(figure) >= 8


def test_names_of_two_stages_are_told_apart() -> None:
    """Attention of prefill and of decode, in a text-only model."""
    (variant,) = axsim.run("qwen3_0_6b", "ax650n", variants=["128-s8"], timing_only=True)
    named = [text for text in texts(roofline(variant)) if "attn." in text]
    assert {"prefill attn.scores", "decode attn.scores"} <= set(named)
    assert len(named) == len(set(named))


def test_a_line_to_a_label_crosses_no_other_label() -> None:
    for workload, chip in (("qwen3_0_6b", "ax650n"), ("internvl2_1b", "ax630c")):
        figure = roofline(axsim.run(workload, chip, timing_only=True)[0])
        written = [t for t in figure.axes[0].texts if t.get_text() and not t.get_rotation()]
        leaders = [note for note in figure.axes[0].texts if not note.get_text()]
        figure.draw_without_rendering()
        assert leaders
        for leader in leaders:
            ends = leader.arrow_patch.get_path().vertices[[0, -1]]
            boxes = {note.get_text(): note.get_window_extent() for note in written}
            own = min(boxes, key=lambda text: min(_distance(boxes[text], end) for end in ends))
            crossed = [text for text, box in boxes.items() if text != own and _crosses(box, *ends)]
            assert crossed == []


def _distance(box, point) -> float:
    return float(np.hypot(*(np.array([(box.x0 + box.x1) / 2, (box.y0 + box.y1) / 2]) - point)))


def _crosses(box, start, end) -> bool:
    steps = np.linspace(start, end, 200)
    inside = (steps > (box.x0 + 1, box.y0 + 1)) & (steps < (box.x1 - 1, box.y1 - 1))
    return bool(inside.all(axis=1).any())
