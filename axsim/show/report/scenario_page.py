"""A simulated scenario as a page: what became of requests, who costs whom what, how busy it was."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from rich.table import Table

from axsim.fidelity.prediction import number
from axsim.files import whole_text
from axsim.runs.shared_results import ScenarioResult
from axsim.show import plots
from axsim.show.report.assumptions import whole
from axsim.show.report.content import described
from axsim.show.report.drawings import inline, shown
from axsim.show.report.markup import Child, Column, Html, Row, element, join, note, section, table
from axsim.show.report.page import bar, document, footer
from axsim.show.tenant_tables import (
    busy_table,
    costs_table,
    energy_table,
    energy_text,
    memory_text,
    requests_table,
    scenario_heading,
    scenario_notes,
    times_table,
)
from axsim.spec.located import Located, locate
from axsim.system.quantiles import enough

SECTIONS = {
    "answer": "Answer",
    "requests": "Requests",
    "busy": "How busy",
    "when": "When",
    "assumptions": "Assumptions",
}
"""Anchors, in the order of the page, and what links to them say."""


def write_scenario(result: ScenarioResult, path: str | Path, command: str = "") -> None:
    """Write the page, whole or not at all; ``-`` is standard output.

    Raises:
        InputError: the file cannot be written.
    """
    with whole_text(path) as file:
        file.write(scenario_page(result, command))


def scenario_page(result: ScenarioResult, command: str = "") -> str:
    """The document as text. Equal results give equal bytes."""
    title = f"{result.scenario.name} on {result.chip.name}"
    head = element(
        "header",
        element("p", "axsim report", class_="kicker"),
        element("h1", title),
        element("p", f"{result.scenario.description or scenario_heading(result)}.", class_="lead"),
        element("p", f"{result.chip.description}.", class_="note"),
        class_="top",
    )
    main = element("main", _answer(result), _requests(result), _busy(result), _when(result),
                   _assumptions(result))  # fmt: skip
    return document(title, join(head, bar(SECTIONS), main, footer(command)), timeline=False)


def _answer(result: ScenarioResult) -> Html:
    return section(
        "answer",
        "Answer",
        element("p", scenario_heading(result), "."),
        element("ul", *(element("li", text) for text in _words(result)), class_="words"),
    )


def _words(result: ScenarioResult) -> Iterator[str]:
    for each in result.models:
        record, latency = each.record, each.measures.get("latency_ms")
        if record is None or latency is None:
            continue  # its note says why
        text = f"{each.name} ({each.what}) answers {number(each.per_s)} requests per second; "
        if enough(latency.count, 95):
            text += f"95 of 100 take up to {number(latency.percentile(95))} ms"
        else:
            text += f"all {latency.count} took up to {number(latency.greatest)} ms"
        if each.slowdown is not None:
            text += f", on average {each.slowdown:.2f} times as long as alone"
        text += "."
        if record.dropped:
            text += f" {record.dropped} of {record.requests} were dropped."
        if each.deadline_ms is not None:
            text += f" {record.late} of {record.finished} missed their deadline of "
            text += f"{each.deadline_ms:g} ms."
        yield text
    yield from (f"{each}." for each in result.notes)
    busiest = max(result.mean_busy.items(), key=lambda pair: pair[1])
    name = busiest[0].replace("npu ", "NPU partition ").replace("cpu", "the CPU")
    name = name.replace("dram", "the DRAM")
    yield f"The busiest part is {name}: {busiest[1]:.0%} on average."


def _requests(result: ScenarioResult) -> Html:
    times = times_table(result)
    parts: list[Child] = []
    if result.models:
        parts.append(_table("What became of requests", requests_table(result)))
    if times is not None:
        parts.append(_table("How long requests take", times))
    if result.costs is not None:
        parts += [
            element("h3", "What each tenant costs the others"),
            _table("How much longer requests take on average because of whom", costs_table(result)),
        ]
    parts.append(note(*[join(text, element("br")) for text in scenario_notes(result)]))
    if any("latency_ms" in each.measures for each in result.models):
        caption = "How long requests take, up to which part of them"
        parts.append(_picture(plots.latency_distribution(result), "latency", caption))
    return section("requests", "Requests", *parts)


def _busy(result: ScenarioResult) -> Html:
    caption = "How busy the NPU, the host and the memory are over time"
    return section(
        "busy",
        "How busy",
        _table("How busy the chip was, and with whom", busy_table(result)),
        note(memory_text(result), "."),
        _energy(result),
        _picture(plots.utilisation(result), "busy", caption),
    )


def _energy(result: ScenarioResult) -> Html | None:
    table = energy_table(result)
    if table is None:
        return None
    text = energy_text(result)
    return join(_table("What tenants and the idle chip draw", table), note(text, "."))


def _when(result: ScenarioResult) -> Html:
    begin, end = result.window_s
    caption = f"Who does what from {begin:g} to {end:g} s"
    return section("when", "When", _picture(plots.tenants_timeline(result), "when", caption))


def _assumptions(result: ScenarioResult) -> Html:
    scenario, chip = result.scenario, result.chip
    about = [
        ("Scenario", scenario.name, described(scenario, _tree(scenario), [scenario], ())),
        ("Chip", chip.name, described(chip, _tree(chip), [chip], ())),
    ]
    words = element("ul", *(element("li", text) for text in CONVENTIONS), class_="words")
    return section(
        "assumptions",
        "Assumptions",
        words,
        *(whole(f"{kind} {name}: every key and its meaning", each) for kind, name, each in about),
    )


CONVENTIONS = (
    "An invocation of a subgraph runs to its end; partitions queue for it by priority, then in the "
    "order of asking.",
    "Transfers share the memory's sustained bandwidth evenly, or by the chip's weights; steady "
    "traffic of sensors and displays is never kept waiting and leaves the rest to the others.",
    "Where partitions have the NPU by turns, they give it up between segments; who is busy has an "
    "equal part of the time. How long the hardware's turns are is not published.",
    "Nobody has published measurements of models that contend for these chips' memory: these "
    "figures rest on the mechanisms and on the times of models alone.",
)


def _tree(instance: Any) -> Located:
    places = getattr(instance, "_places", None)
    return places or locate(instance.model_dump(exclude_unset=True), "")


def _picture(figure: Any, name: str, caption: str) -> Html | None:
    return shown({name: inline(figure, name, caption)}, name, caption)


def _table(caption: str, source: Table) -> Html:
    """A terminal's table as the page's."""
    columns = [
        Column(" ".join(str(column.header).split()), number=column.justify == "right")
        for column in source.columns
    ]
    cells: Sequence[list[Any]] = [list(column.cells) for column in source.columns]
    rows = [Row([str(cell) for cell in row]) for row in zip(*cells, strict=True)]
    return table(caption, columns, rows)
