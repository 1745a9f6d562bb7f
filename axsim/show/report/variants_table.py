"""Every variant in one table, with what was measured, and what the kernels computed."""

from __future__ import annotations

from axsim.compiler.partition import mebibytes
from axsim.fidelity.intervals import LEVEL
from axsim.fidelity.prediction import Prediction, number
from axsim.runs.results import RunResult, VariantResult
from axsim.show.energy_table import source_line
from axsim.show.extrapolated import footnotes
from axsim.show.report.content import Report
from axsim.show.report.drawings import shown
from axsim.show.report.figures import SHOWN, capitalised, interval, measured
from axsim.show.report.markup import Child, Column, Html, Row, element, join, note, table
from axsim.show.report.markup import section as section_of
from axsim.show.tables import accuracy_notes, ttft_meaning
from axsim.show.tables import notes as table_notes
from axsim.show.text_table import MEANING, judged, text_figures, text_title

SYNTHETIC = (
    "Synthetic weights: seeded random numbers stood in for a trained model's. The similarities "
    "show what the arithmetic loses, not a trained model's accuracy"
)

COMPARED = {"vision": "vision output", "graph": "worst output", "logits": "first logits"}
"""What is compared with float32, and its column's second line."""


def section(report: Report) -> Html:
    """The table of all variants and its notes."""
    result = report.result
    vision = any(each.vision_encode_ms for each in result)
    decoder = any(each.ttft_ms for each in result)
    metrics = [name for name in SHOWN if any(name in each.predictions for each in result)]
    columns = [Column("variant")]
    if decoder:
        columns.append(Column("prefill", number=True))
    columns += [
        Column([capitalised(SHOWN[name].label), element("small", SHOWN[name].unit)], number=True)
        for name in metrics
    ]
    columns.append(Column(["NPU memory", element("small", "MiB")], number=True))
    if not result.timing_only:
        network = any(each.graph_ms for each in result)
        has = {"vision": vision, "graph": network, "logits": decoder}
        compared = [part for part in COMPARED if has[part]]
        columns += [
            Column(["cosine", element("small", COMPARED[part])], number=True) for part in compared
        ]
    rows = []
    for each in result:
        cells: list[Child] = [element("button", each.name, type="button", class_="choose",
                                      data_choose=each.name)]  # fmt: skip
        if decoder:
            calls = f"{each.prefill_chunks} × {each.workload.build.prefill_chunk}"
            cells.append(calls.replace(" ", "\N{NO-BREAK SPACE}"))
        cells += [_prediction(each.predictions.get(name)) for name in metrics]
        cells.append(_memory(each))
        if not result.timing_only:
            cells += _cosines(each, compared)
        rows.append(Row(cells, css="picked" if each is result[0] else None))
    return section_of(
        "variants",
        "Variants",
        table("Variants", columns, rows),
        _notes(result),
        turns_section(result),
        _text(report),
        _tokens(result),
    )


def _text(report: Report) -> Html | None:
    """How well the builds predict a text, and what the better one costs."""
    scores = judged(report.result)
    picture = shown(report.pictures, "tradeoff", "Accuracy against time, variant by variant")
    if not scores:
        return picture
    title = text_title(report.result)
    columns = [Column("variant")]
    columns += [
        Column([name, element("small", unit)], number=True)
        for name, unit in (
            ("perplexity", "as deployed"),
            ("perplexity", "in float32"),
            ("change", "of perplexity"),
            ("divergence", "nats a token"),
            ("agreement", "likeliest token"),
        )
    ]
    rows = [Row([name, *text_figures(score)]) for name, score in scores]
    return join(element("h3", title), table(title, columns, rows), note(" ".join(MEANING)), picture)


def _prediction(found: Prediction | None) -> Child:
    if found is None:
        return "–"
    lines = [element("span", each) for each in (interval(found), measured(found)) if each]
    return [element("b", number(found.value)), element("small", *lines)]


def _memory(variant: VariantResult) -> Child:
    memory = variant.memory
    size = element("b", mebibytes(memory.npu))
    if memory.fits:
        return size
    return [size, element("small", element("span", "does not fit", class_="bad"))]


def _cosines(variant: VariantResult, compared: list[str]) -> list[Child]:
    numerics = variant.numerics
    if numerics is None:
        return ["not finished"] * len(compared)
    values: list[float | None] = [getattr(numerics, f"{part}_cosine") for part in compared]
    mark = element("small", "synthetic ", element("br"), "weights") if numerics.synthetic else None
    return ["–" if value is None else [element("b", f"{value:.4f}"), mark] for value in values]


def _notes(result: RunResult) -> Html:
    """What the columns mean, and that weights are synthetic."""
    lines: list[Child] = [f"±: {LEVEL:.0%} of measured values are expected within."]
    if any(each.ttft_ms for each in result):
        lines.append(f" TTFT is the vendor's: {ttft_meaning(result)}.")
    others = [text for text in table_notes(result) if text.startswith("measured TTFT")]
    lines += [f" {text[0].upper()}{text[1:]}." for text in others]
    energy = source_line(result)
    if energy is not None:
        lines.append(f" {energy}.")
    if not result.timing_only:
        lines.append(" Cosine: similarity of the deployed arithmetic to float32")
        if any(each.ttft_ms for each in result):
            lines.append("; first logits: those that the first token is chosen from, after the ")
            lines.append("request's prompt")
        lines.append(".")
        lines += [f" {text[0].upper()}{text[1:]}." for text in accuracy_notes(result)]
    parts = [note(*lines)]
    head, *reasons = footnotes(result) or [""]
    if head:
        parts.append(note(head, element("ul", *(element("li", text) for text in reasons))))
    if any(each.numerics is not None and each.numerics.synthetic for each in result):
        told = ", and the tokens mean nothing." if any(each.ttft_ms for each in result) else "."
        parts.append(element("p", f"{SYNTHETIC}{told}", class_="callout"))
    if not result.complete:
        parts.append(element("p", "The run was interrupted: the kernels of the variants marked "
                             "“not finished” did not run.", class_="callout"))  # fmt: skip
    return join(parts)


def turns_section(result: RunResult) -> Html | None:
    """What each turn of a conversation finds in the KV cache, asks, and takes."""
    talks = [each for each in result if each.later]
    if not talks:
        return None
    vision = any(turn.workload.images for each in talks for turn in each.turns)
    names = ["ttft_ms", *(["image_to_first_token_ms"] if vision else [])]
    columns = [Column("variant"), Column("turn", number=True)]
    columns += [Column(each, number=True) for each in ("cached tokens", "images", "prompt tokens")]
    columns += [
        Column([capitalised(SHOWN[name].label), element("small", SHOWN[name].unit)], number=True)
        for name in names
    ]
    rows = []
    for each in talks:
        for number_, turn in enumerate(each.turns, 1):
            asked = turn.workload
            counts = asked.cached_tokens, asked.images, asked.prompt_tokens
            cells: list[Child] = [each.name, str(number_), *map(str, counts)]
            rows.append(Row([*cells, *(_prediction(turn.predictions.get(n)) for n in names)]))
    return join(element("h3", "Turns"), table("Turns", columns, rows))


def _tokens(result: RunResult) -> Html | None:
    rows = [
        Row([each.name, " ".join(map(str, each.numerics.tokens)), _ended(each)])
        for variant in result
        for each in variant.turns
        if each.numerics is not None and each.numerics.tokens
    ]
    if not rows:
        return None
    synthetic = any(each.numerics is not None and each.numerics.synthetic for each in result)
    title = "Tokens generated" + (", synthetic weights" if synthetic else "")
    columns = [Column("variant"), Column("token ids", wide=True), Column("end", wide=True)]
    return join(element("h3", title), table(title, columns, rows))


def _ended(variant: VariantResult) -> str:
    assert variant.numerics is not None
    return "end of sequence" if variant.numerics.stopped_at_eos else "number asked for"
