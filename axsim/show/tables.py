"""Results as tables on the terminal, readable at 80 columns."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence

from rich.table import Table
from rich.text import Text

from axsim.compiler.partition import MEBI, mebibytes
from axsim.fidelity.prediction import Prediction, counted, number
from axsim.graph.ir import Graph
from axsim.runs.results import RunResult, VariantResult
from axsim.show.extrapolated import footnotes, mark
from axsim.show.words import named
from axsim.system.breakdown import StageBreakdown
from axsim.system.metrics import PREDICTED

MOST_CHUNKS = 4
"""Chunks of a prompt that have a column each."""
MOST_INPUTS = 2
"""Inputs of a network that are named above the table."""


def heading(result: RunResult) -> str:
    """One line above the table: model, chip, request."""
    first = result[0]
    parts = [f"{result.workload} on {result.chip}, {first.npu_mode}"]
    if first.deployment.network is not None:
        parts.append(_inputs(first.deployment.network.graph))
    if first.workload.new_tokens:
        prompts = [str(each.workload.prompt_tokens) for each in result]
        tokens = "/".join(dict.fromkeys(prompts))
        asked = f"prompt of {tokens} {'token' if tokens == '1' else 'tokens'}"
        if first.workload.cached_tokens:
            asked += f" after {counted(first.workload.cached_tokens, 'cached one')}"
        if first.later:
            asked = f"{len(first.turns)} turns, the first a {asked}"
        parts.append(f"{asked}, {counted(first.workload.new_tokens, 'new one')}")
    return "; ".join(parts)


def _inputs(graph: Graph) -> str:
    """Names and shapes of a network's inputs, of many the first ones."""
    found = [f"{each} {'×'.join(map(str, graph.tensors[each].shape))}" for each in graph.inputs]
    more = f" and {len(found) - MOST_INPUTS} more" if len(found) > MOST_INPUTS else ""
    return ", ".join(found[:MOST_INPUTS]) + more


def variants_table(result: RunResult) -> Table:
    """Each variant's predictions, and below them what was measured in the same configuration.

    Has the cosine columns when any variant's kernels have run or are to run.
    """
    vision = any(each.vision_encode_ms for each in result)
    decoder = any(each.ttft_ms for each in result)
    numeric = not result.timing_only
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), collapse_padding=True)
    table.add_column("\n\nvariant", no_wrap=True)
    present = {name for each in result for name in each.predictions}
    metrics = [m for m in PREDICTED if m.name in present and m.column_heading and not m.needs]
    headings: list[tuple[str, ...]] = []
    for metric in metrics:
        if metric.name == "ttft_ms":
            headings.append(("pre-", "fill"))
        headings.append(metric.column_heading)
    headings.append(("NPU", "memory", "MiB"))
    if numeric and vision:
        headings.append(("cosine²", "vision", "output"))
    network = any(each.graph_ms for each in result)
    if numeric and network:
        headings.append(("cosine²", "worst", "output"))
    if numeric and decoder:
        mark = "" if vision or network else "²"
        headings.append((f"1st{mark}", "logits"))
    for lines in headings:
        text = "\n" * (3 - len(lines)) + "\n".join(lines)
        table.add_column(text, justify="right", no_wrap=True)
    for each in result:
        row, below = [each.name], [Text("measured", style="dim")]
        for metric in metrics:
            if metric.name == "ttft_ms":
                row.append(f"{each.prefill_chunks}×{each.workload.build.prefill_chunk}")
                below.append(Text())
            found = each.predictions.get(metric.name)
            row.append(_with_interval(found))
            below.append(_measured(found))
        memory = each.memory
        row.append(mebibytes(memory.npu))
        if not memory.fits:
            row[-1] += "\ndoes not\nfit"
        if numeric and vision:
            row.append(_cosine(each.numerics.vision_cosine) if each.numerics else "…")
        if numeric and network:
            row.append(_cosine(each.numerics.graph_cosine) if each.numerics else "…")
        if numeric and decoder:
            row.append(_cosine(each.numerics.logits_cosine) if each.numerics else "…")
        table.add_row(*row)
        if any(cell.plain for cell in below[1:]):
            table.add_row(*below)
    return table


def ttft_meaning(result: RunResult) -> str:
    """What the vendor counts."""
    counted = "all prefill chunks and the first post"
    return f"{counted}, no vision" if any(each.vision_encode_ms for each in result) else counted


def notes(result: RunResult) -> list[str]:
    """What the marks in the table's headings mean."""
    lines = []
    if any(each.ttft_ms for each in result):
        lines.append(f"¹ the vendor's convention: {ttft_meaning(result)}")
    others = _other_models(result)
    if others:
        lines.append(f"measured TTFT and decode speed: {', '.join(others)}, the same decoder")
    if not result.timing_only:
        what = "² cosine similarity of the deployed arithmetic to float32"
        if any(each.ttft_ms for each in result):
            lines.append(f"{what}; logits: those that")
            lines.append("  the first token is chosen from, after the request's prompt")
        else:
            lines.append(what)
        if any(each.numerics is None or each.numerics.synthetic for each in result):
            lines.append("  on synthetic weights it shows what the arithmetic loses, not a trained")
            lines.append("  model's accuracy")
        lines += accuracy_notes(result)
    return [*lines, *assumed(result), *footnotes(result)]


def assumed(result: RunResult) -> list[str]:
    """What of a language model's build nobody has said, and decides its times."""
    lines = []
    for each in result:
        build = each.workload.build
        flagged = each.chip.npu.conv.float_matmul and build.float_matmul_on_conv is None
        if each.workload.model.decoder is None or not flagged:
            continue
        flag = f"float_matmul_on_conv {'on' if each.workload.float_matmul_on_conv else 'off'}"
        told = "toolchain" in build.model_fields_set
        newest = "" if told else " (newest)"
        lines.append(f"assumed: {flag}, as the vendor builds with {build.toolchain}{newest}")
    return list(dict.fromkeys(lines))


def accuracy_notes(result: RunResult) -> list[str]:
    """What the ranges of activations were taken from, what was compared, and what was not."""
    found = [each.numerics for each in result if each.numerics and each.numerics.calibrated_on]
    lines = []
    for text in dict.fromkeys(str(each.calibrated_on) for each in found):
        lines.append(f"ranges of U8 and U16 activations calibrated on {text}")
    compared = [each.numerics.compared_on for each in result if each.numerics]
    lines += [f"vision output compared on {text}" for text in dict.fromkeys(compared) if text]
    reasons = [each.numerics.not_judged for each in result if each.numerics]
    lines += [f"not judged on a text: {text}" for text in dict.fromkeys(reasons) if text]
    return lines


def _other_models(result: RunResult) -> list[str]:
    """Models whose measured decoder stands in for the workload's own."""
    found = [each.measured for v in result for each in (v.ttft_ms, v.decode_tokens_per_s) if each]
    names = [name for measured in found if measured for name in measured.models]
    return [name for name in dict.fromkeys(names) if name != result.workload]


def tokens_lines(result: RunResult) -> list[str]:
    """The generated tokens of each variant and turn."""
    lines = []
    for each in (turn for variant in result for turn in variant.turns):
        if each.numerics is None or not each.numerics.tokens:
            continue
        ids = " ".join(map(str, each.numerics.tokens))
        end = " (end of sequence)" if each.numerics.stopped_at_eos else ""
        lines.append(f"{each.name}: {ids}{end}")
    return lines


def turns_table(variant: VariantResult) -> Table:
    """The turns of a conversation: what each finds in the KV cache, what it asks, and how long its
    first token takes."""
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), collapse_padding=True)
    table.add_column("\n\nturn", no_wrap=True)
    vision = any(turn.workload.images for turn in variant.turns)
    headings = [
        "cached\ntokens",
        "images",
        "prompt\ntokens",
        "prefill",
        "longest\nhistory",
        "TTFT¹\nms",
    ]
    headings += ["image to\n1st token\nms"] if vision else []
    for text in headings:
        table.add_column("\n" * (2 - text.count("\n")) + text, justify="right", no_wrap=True)
    for index, turn in enumerate(variant.turns, 1):
        asked = turn.workload
        row = [str(index), str(asked.cached_tokens), str(asked.images), str(asked.prompt_tokens)]
        row += [f"{turn.prefill_chunks}×{asked.build.prefill_chunk}", str(max(asked.histories))]
        row.append(_with_interval(turn.ttft_ms))
        if vision:
            row.append(_with_interval(turn.image_to_first_token_ms))
        table.add_row(*row)
    return table


def breakdown_table(variant: VariantResult) -> Table:
    """Where the time of one variant goes, stage by stage."""
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), collapse_padding=True)
    table.add_column("\nstage", no_wrap=True)
    table.add_column("\nms", justify="right")
    table.add_column("waits for\n(share of time)", no_wrap=True)
    for name in ("CONV\nbusy", "TENG\nbusy", "SDMA\nbusy", "DRAM\nbusy", "host\nbusy"):
        table.add_column(name, justify="right")
    table.add_column("MAC\nuse", justify="right")
    table.add_column("DRAM\nMB", justify="right")
    for stage in variant.breakdown:
        table.add_row(
            stage.name if stage.count == 1 else f"{stage.name} × {stage.count}",
            number(stage.ms),
            _shares(stage.by_engine, stage.ms, 2),
            *(_percent(stage.busy[name]) for name in ("conv", "teng", "sdma", "dram", "host")),
            _percent(stage.mac_utilisation),
            f"{stage.total_dram_bytes / 1e6:.1f}",
        )
    return table


def operators_table(stages: Sequence[StageBreakdown]) -> Table:
    """Milliseconds by operator class, a column for each stage."""
    shown = [stage for stage in stages if len(stage.by_operator) > 1]
    columns = {stage.name: stage.by_operator for stage in shown}
    return _by_stage("operators, ms", columns, number)


def traffic_table(stages: Sequence[StageBreakdown]) -> Table:
    """Megabytes over the DRAM interface by task kind, a column for each stage."""
    columns = {stage.name: stage.dram_bytes for stage in stages if stage.dram_bytes}
    return _by_stage("DRAM traffic, MB", columns, lambda size: f"{size / 1e6:.2f}")


def _by_stage(
    heading: str, columns: Mapping[str, Mapping[str, float]], text: Callable[[float], str]
) -> Table:
    """A row for each name, the largest in total first. The chunks of a long prompt share a
    column, so that 80 are enough."""
    chunks = [name for name in columns if name.startswith("prefill ")]
    if len(chunks) > MOST_CHUNKS:
        total: Counter[str] = Counter()
        for name in chunks:
            total.update(columns[name])
        merged = {name: found for name, found in columns.items() if name not in chunks}
        at = list(columns).index(chunks[0])
        items = list(merged.items())
        items.insert(at, (f"prefill, {len(chunks)} chunks", total))
        columns = dict(items)
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), collapse_padding=True)
    table.add_column(heading, no_wrap=True)
    for name in columns:
        table.add_column(name, justify="right")
    for name in _by_total(columns.values()):
        cells = (each.get(name) for each in columns.values())
        table.add_row(named(name), *("" if value is None else text(value) for value in cells))
    return table


def memory_line(variant: VariantResult) -> str:
    """What the deployed model occupies, against the chip's memory."""
    memory = variant.memory
    parts = [f"{name} {mebibytes(size)}" for name, size in memory.weights.items() if size]
    text = f"memory, MiB: weights {mebibytes(sum(memory.weights.values()))} ({', '.join(parts)})"
    if memory.kv_cache:
        text += f", KV cache {memory.kv_cache / MEBI:.1f}"
        if memory.kv_slots > 1:
            text += f" ({memory.kv_slots} slots of {memory.kv_slot / MEBI:.1f})"
    text += f", activations {memory.activations / MEBI:.1f}"
    if memory.embedding:
        text += f", embedding table (CPU) {memory.embedding / MEBI:.0f}"
    text += f"; {memory.verdict}"
    ms, speed = variant.deployment.load_ms, variant.chip.host.storage_mb_per_s
    if ms is None or speed is None:
        return text
    over = f" and {variant.deployment.link.upper()}" if variant.deployment.link else ""
    return f"{text}; loads in {number(ms / 1e3)} s, at {speed:g} MB/s of storage{over}"


def misfits(result: RunResult, place: str = "") -> list[str]:
    """One line for each variant that the memory of the chip, or of a board, does not hold."""
    where = f"on {place or result.chip}; the times are those of a chip with the memory"
    return [
        f"{each.name}: the model {each.memory.verdict} {where}"
        for each in result
        if not each.memory.fits
    ]


def _by_total(parts: Iterable[object]) -> list[str]:
    totals: dict[str, float] = {}
    for part in parts:
        assert isinstance(part, dict)
        for name, value in part.items():
            totals[name] = totals.get(name, 0.0) + value
    return sorted(totals, key=lambda name: -totals[name])


def _with_interval(found: Prediction | None) -> str:
    if found is None:
        return "–"
    text = number(found.value)
    if found.interval is None:
        return text
    low, high = found.interval
    if abs(high + low) < 0.005:
        return f"{text} ±{high:.0%}{mark(found)}"
    return f"{text} {low:+.0%}{high:+.0%}{mark(found)}"


def _measured(found: Prediction | None) -> Text:
    if found is None or found.measured is None or found.error is None:
        return Text()
    text = Text(f"{number(found.measured.value)} ", style="dim")
    size = abs(found.error)
    style = "green" if size <= 0.05 else "yellow" if size <= 0.15 else "red"
    text.append(f"{found.error:+.0%}", style=style)
    return text


def _cosine(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"


def _percent(fraction: float) -> str:
    return f"{fraction:.0%}" if fraction >= 0.0005 else "–"


def _shares(parts: object, total: float, count: int) -> str:
    assert isinstance(parts, dict)
    largest = list(parts.items())[:count]
    return ", ".join(f"{named(name)} {ms / total:.0%}" for name, ms in largest)
