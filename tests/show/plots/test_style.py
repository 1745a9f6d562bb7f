"""Figures as files and as parts of a page."""

from __future__ import annotations

import sys
from xml.etree import ElementTree

import pytest

from axsim import InputError
from axsim.show import plots
from axsim.show.plots.style import new_figure, plain_numbers
from tests.runs.tiny import variants

PICTURES = {
    "latency": lambda run: plots.latency_bars(run),
    "roofline": lambda run: plots.roofline(run[0]),
    "timeline": lambda run: plots.eu_timeline(run[0]),
    "bandwidth": lambda run: plots.dram_bandwidth(run[0]),
}


@pytest.fixture(scope="module")
def tiny():
    import axsim

    return axsim.run(variants(), "ax630c", timing_only=True)


@pytest.mark.parametrize(
    ("name", "suffix"), [("latency", ".pdf"), ("latency", ".png"), *((n, ".svg") for n in PICTURES)]
)
def test_equal_results_are_equal_files(tiny, tmp_path, name, suffix) -> None:
    first, second = (tmp_path / f"{index}{suffix}" for index in (1, 2))
    for path in (first, second):
        plots.save(PICTURES[name](tiny), path)
    assert first.read_bytes() == second.read_bytes()
    starts = {".png": b"\x89PNG", ".svg": b"<?xml", ".pdf": b"%PDF"}
    assert first.read_bytes().startswith(starts[suffix])
    assert sorted(tmp_path.iterdir()) == [first, second]


@pytest.fixture(scope="module")
def elements(tiny) -> dict[str, str]:
    return {name: plots.svg(draw(tiny), title="a < b") for name, draw in PICTURES.items()}


def test_equal_figures_are_equal_elements(tiny, elements) -> None:
    assert plots.svg(plots.latency_bars(tiny), title="a < b") == elements["latency"]


@pytest.mark.parametrize("name", PICTURES)
def test_svg_is_one_element_that_scales(elements, name) -> None:
    found = elements[name]
    root = ElementTree.fromstring(found)
    assert root.tag.endswith("svg")
    assert root.get("aria-label") == "a < b"
    assert "viewBox" in root.attrib
    assert not {"width", "height"} & root.attrib.keys()
    assert "<text" in found
    ids = [each.get("id") for each in root.iter() if each.get("id")]
    assert len(ids) == len(set(ids))
    for name in ids:
        assert f"#{name}" in found


def test_ids_of_two_figures_that_differ_mean_the_same(elements) -> None:
    """Elements of several pictures in one page may share an id only when they are equal."""
    found: dict[str, bytes] = {}
    for text in elements.values():
        for each in ElementTree.fromstring(text).iter():
            each.tail = None  # what stands behind an element is none of it
            name = each.get("id")
            if name:
                assert found.setdefault(name, ElementTree.tostring(each)) == ElementTree.tostring(
                    each
                )


def test_unknown_formats_and_folders_are_told(tiny, tmp_path) -> None:
    with pytest.raises(InputError, match=r"\.png, \.svg, \.pdf"):
        plots.save(plots.latency_bars(tiny), tmp_path / "a.jpg")
    with pytest.raises(InputError, match="cannot write"):
        plots.save(plots.latency_bars(tiny), tmp_path / "no" / "a.png")


def test_no_global_state(tiny) -> None:
    import matplotlib

    before = dict(matplotlib.rcParams)
    plots.svg(plots.latency_bars(tiny))
    assert dict(matplotlib.rcParams) == before
    assert (
        "matplotlib.pyplot" not in sys.modules
        or not __import__("matplotlib.pyplot").pyplot.get_fignums()
    )


def test_a_short_logarithmic_axis_has_plain_numbers_between_powers_of_ten() -> None:
    axes = new_figure(4, 3).subplots()
    axes.set_xscale("log")
    plain_numbers(axes.xaxis)
    axes.set_xlim(6000, 9700)
    assert "7000" in [label.get_text() for label in axes.xaxis.get_minorticklabels()]
    axes.set_xlim(1, 1e5)
    assert not any(label.get_text() for label in axes.xaxis.get_minorticklabels())
