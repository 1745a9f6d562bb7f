"""Every page and every picture of whatever is simulated: with a tower, without, a tower alone, a
network, several that share a chip; and the same words and numbers wherever something is told."""

from __future__ import annotations

import re

import pytest

import axsim
from axsim.fidelity.prediction import number
from axsim.models.config import ModelConfig
from axsim.show import plots
from axsim.show.report import content
from axsim.show.report.content import gather
from axsim.show.report.page import page
from axsim.show.report.scenario_page import scenario_page
from axsim.show.tables import breakdown_table
from axsim.show.words import NAMES, lines
from axsim.study.explain import explain
from tests.cli.small_network import small
from tests.runs.tiny import TEXT, VISION, VLM, workload
from tests.show.plots.reading import drawn_texts, overlapping
from tests.show.report.reading import Page

KINDS = ("sees", "reads", "tower", "network")


@pytest.fixture(scope="module")
def results(tmp_path_factory) -> dict[str, axsim.RunResult]:
    file = small(tmp_path_factory.mktemp("kinds")) / "models" / "small.yaml"
    asked = {
        "sees": workload(VLM),
        "reads": workload(TEXT, prompt_tokens=20),
        "tower": workload(ModelConfig(None, VISION), new_tokens=1),
        "network": file,
    }
    return {
        kind: axsim.run(asked[kind], "ax630c", timing_only=True) for kind in KINDS
    } | {"asked": asked}  # fmt: skip


@pytest.fixture(scope="module")
def pages(results) -> dict[str, str]:
    asked = results["asked"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(content, "draw", lambda *_: {})  # for the sake of speed
        return {kind: page(gather(results[kind], asked[kind], "ax630c")) for kind in KINDS}


@pytest.mark.parametrize("kind", KINDS)
def test_pictures_say_of_what_they_are_and_nothing_overlaps(results, kind) -> None:
    variant = results[kind][0]
    for draw in (plots.latency_bars, plots.roofline, plots.eu_timeline, plots.dram_bandwidth):
        texts = drawn_texts(draw(variant))
        assert any(variant.workload.name in text.get_text() for text in texts), draw
        assert overlapping(texts) == []


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_waited_for_is_the_same_everywhere(results, pages, kind) -> None:
    """On the page twice, in the run's table, and in the explanation."""
    variant = results[kind][0]
    explained = " ".join(" ".join(lines(explain(variant))).split())
    table = breakdown_table(variant)
    cells = [list(column.cells) for column in table.columns]
    found = Page(pages[kind]).table("Time by stage")
    for stage, row in zip(variant.breakdown, zip(*cells, strict=True), strict=True):
        resource, ms = next(iter(stage.by_engine.items()))
        share = f"{ms / stage.ms:.0%}"
        told = f"{NAMES[resource]} {share}"
        assert any(str(cell).startswith(told) for cell in row)
        on_page = found.row(str(row[0]))
        assert on_page[1:3] == [number(stage.ms), on_page[2]]
        assert on_page[2].split(",")[0] == told
        if (
            stage.part.stage in ("vision", "prefill", "decode", "graph")
            and resource != "invocation"
        ):
            assert told in explained


@pytest.mark.parametrize("kind", KINDS)
def test_a_page_speaks_of_what_the_workload_has(pages, kind) -> None:
    assert ("TTFT is the vendor's" in pages[kind]) is (kind in ("sees", "reads"))
    assert ("first post, no vision" in pages[kind]) is (kind == "sees")
    assert ("without image preparation" in pages[kind]) is (kind == "sees")
    assert ("x 1×3×64×64" in pages[kind]) is (kind == "network")


@pytest.mark.parametrize("kind", KINDS)
def test_every_colour_of_the_page_is_in_its_style(pages, kind) -> None:
    used = set(re.findall(r'class="(?:swatch )?([rtm]-[a-z-]+)"', pages[kind]))
    assert used
    assert used <= set(re.findall(r"^\.([rtm]-[a-z-]+) \{", pages[kind], flags=re.MULTILINE))


def test_a_scenario_has_its_page_and_its_pictures() -> None:
    result = axsim.simulate("chat", "ax650n", duration_s=2.0)
    text = scenario_page(result)
    assert "No request" not in text
    assert text.count("<svg") == 3
    for draw in (plots.latency_distribution, plots.utilisation, plots.tenants_timeline):
        texts = drawn_texts(draw(result))
        assert any(result.scenario.name in each.get_text() for each in texts), draw
        assert overlapping(texts) == []
