"""The top of the page: how long it takes, whether it fits, what limits it, what would help."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from axsim.compiler.partition import mebibytes
from axsim.fidelity.prediction import Prediction, number
from axsim.runs.results import VariantResult
from axsim.show.report.colours import css_class
from axsim.show.report.content import Report
from axsim.show.report.figures import (
    SHOWN,
    capitalised,
    interval,
    legend,
    measured,
    panels,
    percent,
    signed,
)
from axsim.show.report.markup import Child, Column, Html, Row, element, join, note, table
from axsim.show.report.markup import section as section_of
from axsim.show.words import LEAST, NAMES, first_goal, waits
from axsim.study.explain import Explanation, Gain, total_ms
from axsim.system.critical_path import PathStage

RESOURCES = {
    "conv": "the matrix unit",
    "teng": "the vector unit",
    "dram": "its bandwidth",
    "sdma": "setting transfers up",
    "host": "its work",
    "invocation": "of subgraphs",
}
"""What each thing is that a stage can wait for."""


def section(report: Report) -> Html:
    """The answer for each variant."""
    parts = panels(report.result, (_answer(each, report) for each in report.explanations))
    return section_of("answer", "Answer", parts)


def limits(report: Report) -> Html:
    """Why it takes that long, and what would shorten it."""
    text = note(
        "The critical path: the chain of tasks, each of which the next one waited for. Shorten a "
        "task on it, and the stage ends earlier."
    )
    names = [(css_class("r", key), NAMES[key], what) for key, what in RESOURCES.items()]
    parts = panels(report.result, (_limits(each) for each in report.explanations))
    return section_of("limits", "What limits it", text, parts, legend(names))


def _answer(explanation: Explanation, report: Report) -> Html:
    variant = explanation.variant
    answer = report.answers.get(variant.name)
    return join(
        element("p", *_headline(variant), class_="headline"),
        element("p", *_because(explanation), class_="because"),
        None if answer is None else _said("Asked", report.question),
        None if answer is None else _said("Answered", answer),
        element("dl", *_figures(variant), class_="figures"),
    )


def _said(who: str, text: str) -> Html:
    """A question or an answer, its lines as they are."""
    return element("div", element("b", who), element("pre", text, class_="said"))


def _headline(variant: VariantResult) -> list[Child]:
    first = variant.image_to_first_token_ms
    speed = variant.decode_tokens_per_s
    if first is not None:
        text: list[Child] = [_strong(first, "ms"), " from the image to the first token"]
    elif variant.ttft_ms is not None:
        text = [_strong(variant.ttft_ms, "ms"), " from the prompt to the first token"]
    elif variant.graph_ms is not None:
        text = [_strong(variant.graph_ms, "ms"), " from the input to the result"]
    else:
        assert variant.vision_encode_ms is not None
        text = [_strong(variant.vision_encode_ms, "ms"), " to encode an image"]
    if speed is not None:
        text += [", then ", _strong(speed, "tokens"), " a second"]
    return [*text, "."]


def _strong(found: Prediction, unit: str) -> Html:
    return element("strong", f"{number(found.value)}\N{NO-BREAK SPACE}{unit}")


def _because(explanation: Explanation) -> list[Child]:
    memory = explanation.variant.memory
    text: list[Child] = [f"The wait is for {shares(explanation.first_token)}"]
    if explanation.token:
        text.append(f"; that for each further token is for {shares(explanation.token)}")
    text.append(". ")
    if memory.fits:
        return [*text, f"It {memory.verdict} of DRAM."]
    warning = f"It {memory.verdict} of DRAM."
    return [*text, element("strong", warning, class_="bad"), " The times are those of a chip "
            "that has the memory."]  # fmt: skip


def shares(path: Sequence[PathStage]) -> str:
    """``CONV (36%), TENG (34%) and DRAM (24%)``: what a path waits for, most first."""
    spent: dict[str, float] = defaultdict(float)
    for stage in path:
        for resource, ms in stage.by_resource().items():
            spent[resource] += ms
    total = total_ms(tuple(path))
    found = [
        f"{NAMES[name]} ({percent(ms / total)})"
        for name, ms in sorted(spent.items(), key=lambda item: -item[1])
        if ms >= LEAST * total
    ]
    return " and ".join(filter(None, (", ".join(found[:-1]), *found[-1:])))


def _figures(variant: VariantResult) -> list[Html]:
    found = []
    for metric in SHOWN.values():
        prediction = variant.predictions.get(metric.name)
        if prediction is not None:
            value = [number(prediction.value), element("small", f" {prediction.unit}")]
            notes = [interval(prediction), measured(prediction)]
            found.append(_figure(capitalised(metric.label), metric.meaning, value, notes))
    memory = variant.memory
    value = [mebibytes(memory.total), element("small", f" of {mebibytes(memory.capacity)} MiB")]
    mark = element("span", memory.verdict, class_="good" if memory.fits else "bad")
    found.append(_figure("Memory", "DRAM of the deployed model", value, [mark]))
    return found


def _figure(label: str, what: str, value: Sequence[Child], notes: Sequence[Child]) -> Html:
    lines = [element("dd", each, class_="below") for each in notes if each]
    return element(
        "div",
        element("dt", label, element("small", what)),
        element("dd", *value, class_="value"),
        *lines,
    )


def _limits(explanation: Explanation) -> Html:
    title = first_goal(explanation.variant)
    parts = [_goal(title, explanation.first_token, explanation.first_token_gains)]
    if explanation.token:
        parts.append(_goal("One decode token", explanation.token, explanation.token_gains))
    return join(parts)


def _goal(title: str, path: tuple[PathStage, ...], gains: tuple[Gain, ...]) -> Html:
    total = total_ms(path)
    columns = [
        Column("stage"),
        Column("ms", number=True),
        Column("share", number=True),
        Column("waits for"),
        Column("in detail", wide=True),
    ]
    rows = [
        Row([stage.name, number(stage.ms), percent(stage.ms / total), _bar(stage, total),
             waits(stage)])
        for stage in path
    ]  # fmt: skip
    return join(
        element("h3", f"{title}: {number(total)} ms"),
        table(f"{title}: stages on the critical path", columns, rows),
        _gains(title, gains),
    )


def _bar(stage: PathStage, total: float) -> Html:
    """The stage as a bar of the length of its time, cut by what it waits for."""
    parts = [
        element("i", class_=css_class("r", name), style=f"width:{100 * ms / total:.2f}%")
        for name, ms in stage.by_resource().items()
    ]
    return element("div", *parts, class_="strip", aria_hidden="true")


def _gains(title: str, gains: tuple[Gain, ...]) -> Html:
    if not gains:
        return note("No change that was tried shortens it.")
    columns = [
        Column("what would shorten it most, one change at a time"),
        Column("ms", number=True),
        Column("change", number=True),
        Column("price", wide=True),
    ]
    rows = [
        Row([gain.text, number(gain.after_ms), signed(-gain.fraction), gain.price])
        for gain in gains
    ]
    return table(f"{title}: changes that help", columns, rows)
