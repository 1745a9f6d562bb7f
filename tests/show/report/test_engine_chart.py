"""What the script gets to draw is what the machine did."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest

import axsim
from axsim.runs.results import RunResult
from axsim.show.palette import TRANSFERS
from axsim.show.report import content
from axsim.show.report.content import Report, gather
from axsim.show.report.engine_chart import data, section
from axsim.show.timelines import stage_timelines
from axsim.system.critical_path import first_token_path
from tests.show.report.reading import Page


@pytest.fixture(scope="module")
def result() -> RunResult:
    return axsim.run("internvl2_1b", "ax630c", variants=["224-u8", "224-u16"], timing_only=True)


@pytest.fixture(scope="module")
def report(result: RunResult) -> Report:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(content, "draw", lambda *_: {})  # nothing to see here
        return gather(result, "internvl2_1b", "ax630c")


@pytest.fixture(scope="module")
def document(report: Report) -> dict:
    return data(report)


def unpacked(graph: dict) -> list[tuple]:
    """Engine, kind, step's label, start and end in nanoseconds of every task, as the script has
    them."""
    found = []
    for index, offset, _ in graph["runs"]:
        segment = graph["segments"][index]
        free: dict[int, int] = {}
        columns = (segment[key] for key in "eksgd")
        for engine, kind, step, gap, lasts in zip(*columns, strict=True):
            start = free.get(engine, 0) + gap
            free[engine] = start + lasts
            label = segment["steps"][step][0]
            times = offset + start, offset + start + lasts
            found.append((graph["engines"][engine], ["compute", *TRANSFERS][kind], label, *times))
    return found


def test_every_task_is_there_with_its_times(result, document) -> None:
    for variant in result:
        stages = document["variants"][variant.name]["stages"]
        timelines = stage_timelines(variant)
        assert [name for name, *_ in stages] == [part.name for part in timelines]
        for (_, index, _), timeline in zip(stages, timelines.values(), strict=True):
            graph = document["graphs"][index]
            assert graph["ns"] == round(timeline.duration_us * 1e3)
            drawn = unpacked(graph)
            slices = list(timeline.slices())
            assert len(drawn) == len(slices)
            engines = timeline.program.engines
            for (engine, kind, label, start, end), each in zip(drawn, slices, strict=True):
                assert engine == engines[each.task.engine].name
                assert kind == each.task.kind
                assert label == each.segment.steps[each.task.step].label
                assert start == pytest.approx(each.start_us * 1e3, abs=1.5)
                assert end == pytest.approx(each.end_us * 1e3, abs=1.5)


def test_equal_subgraphs_are_written_once(document) -> None:
    first, second = (each["stages"] for each in document["variants"].values())
    indices = [{name: index for name, index, _ in stages} for stages in (first, second)]
    assert indices[0]["decode"] == indices[1]["decode"]
    assert indices[0]["vision"] != indices[1]["vision"]
    vision = document["graphs"][indices[0]["vision"]]
    assert len(vision["segments"]) < len(vision["runs"]) == 26


def test_who_waited_for_whom_gives_the_critical_path(result, document) -> None:
    """From the last task back, the chain has no gaps and ends at the beginning."""
    (prefill,) = (
        index for name, index, _ in document["variants"]["224-u8"]["stages"] if name == "prefill"
    )
    graph = document["graphs"][prefill]
    (segment,) = graph["segments"]
    tasks = unpacked(graph)
    offset = graph["runs"][0][1]
    at = max(range(len(tasks)), key=lambda i: (tasks[i][4], i))
    assert tasks[at][4] - offset == segment["ns"]
    spent: dict[str, int] = {}
    reached = tasks[at][4]
    while True:
        engine, *_, start, _ = tasks[at]
        spent[engine[:4]] = spent.get(engine[:4], 0) + reached - start
        reached = start
        if not segment["w"][at]:
            break
        at -= segment["w"][at]
        assert tasks[at][4] >= reached - 2
    assert reached == offset
    path = next(each for each in first_token_path(result[0].planned) if each.name == "prefill")
    layers = 24
    for resource in ("conv", "teng"):
        assert spent[resource] * layers / 1e6 == pytest.approx(path.by_resource()[resource])


def test_dram_carries_the_bytes_of_the_tasks(document) -> None:
    for graph in document["graphs"]:
        for segment in graph["segments"]:
            times, rates = segment["dram"][::2], segment["dram"][1::2]
            assert all(rate <= graph["mbps"] for rate in rates)
            carried = sum(rate * ns for rate, ns in zip(rates, times[1:], strict=False)) / 1e3
            rounding = 0.5 * sum(times) / 1e3 + 1e-3 * sum(segment["b"]) + 1
            assert carried == pytest.approx(sum(segment["b"]), abs=rounding)
            assert all(a != b for a, b in pairwise(rates))


def test_the_data_stands_in_the_page_and_cannot_end_its_script(report) -> None:
    page = Page(section(report))
    (script,) = [text for attributes, text in page.scripts if "id" in attributes]
    assert json.loads(script) == data(report)
    assert "<" not in script
