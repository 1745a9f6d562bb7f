from __future__ import annotations

import pytest

from axsim.show.ceilings import ceilings, roofline_points
from axsim.show.plots import roofline
from axsim.show.plots.roofline import SHAPES
from tests.show.plots.reading import drawn_texts, legend_names, overlapping, smallest_text

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
