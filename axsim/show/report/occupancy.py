"""What the deployed model occupies: DRAM, flash, on-chip memory."""

from __future__ import annotations

from typing import NamedTuple

from axsim.compiler.partition import mebibytes
from axsim.runs.results import VariantResult
from axsim.show.report.colours import css_class
from axsim.show.report.content import Report
from axsim.show.report.figures import panels, percent
from axsim.show.report.markup import Column, Html, Row, element, join, note, table
from axsim.show.report.markup import section as section_of
from axsim.show.timelines import stage_timelines


class Part(NamedTuple):
    """One part of the memory: its key in :data:`axsim.show.palette.MEMORY`, its name, its bytes in
    DRAM and in flash, and what it is."""

    key: str
    name: str
    size: int
    stored: int
    meaning: str


LABELLED = 0.11
"""Parts of the map that take more than this fraction of it bear their name."""
NAMES = {
    "vision": ("vision weights", "tower and projector"),
    "layers": ("decoder weights", "all layers"),
    "post": ("head weights", "final norm and head"),
    "graph": ("weights", "of the network"),
}


def section(report: Report) -> Html:
    """Maps and tables for each variant."""
    return section_of("memory", "Memory", panels(report.result, map(_variant, report.result)))


def parts_of(variant: VariantResult) -> list[Part]:
    """The parts of a variant's memory, those without bytes left out."""
    memory = variant.memory
    found = [
        Part(key, NAMES[key][0], size, memory.stored[key], NAMES[key][1])
        for key, size in memory.weights.items()
    ]
    length = variant.workload.build.kv_cache_len
    found += [
        Part("kv", "KV cache", memory.kv_cache, 0, f"{length} tokens, as compiled"),
        Part("activations", "activations", memory.activations, 0, "of the largest subgraph"),
        Part(
            "embedding",
            "embedding table",
            0 if memory.embedding_apart else memory.embedding,
            memory.embedding,
            f"read by the CPU{', in its own memory' if memory.embedding_apart else ''}",
        ),
    ]
    return [part for part in found if part.size or part.stored]


def _variant(variant: VariantResult) -> Html:
    memory, parts = variant.memory, parts_of(variant)
    columns = [
        Column("part"),
        Column("DRAM, MiB", number=True),
        Column("share of DRAM", number=True),
        Column("flash, MiB", number=True),
        Column("what it is", wide=True),
    ]
    rows = [
        Row([
            [element("i", class_=f"swatch {css_class('m', part.key)}"), part.name],
            mebibytes(part.size),
            percent(part.size / memory.capacity, 1),
            mebibytes(part.stored) if part.stored else "–",
            part.meaning,
        ])
        for part in parts
    ]  # fmt: skip
    flash = sum(part.stored for part in parts)
    rows.append(
        Row([
            "all", mebibytes(memory.total), percent(memory.total / memory.capacity, 1),
            mebibytes(flash), f"of {mebibytes(memory.capacity)} MiB of DRAM",
        ], css="total")
    )  # fmt: skip
    state = element("strong", memory.verdict, class_="good" if memory.fits else "bad")
    title = f"DRAM: {mebibytes(memory.total)} of {mebibytes(memory.capacity)} MiB, "
    return join(
        element("h3", title, state),
        _map(variant, parts),
        table("Memory by part", columns, rows),
        note(
            "Flash holds the weights as they are stored, and the embedding table, without the "
            "files' headers. Operating system and the program around the model come on top."
        ),
        element("h3", "On-chip memory"),
        _on_chip(variant),
    )


def _map(variant: VariantResult, parts: list[Part]) -> Html:
    """A bar of the whole DRAM; one that is too small ends at the mark."""
    memory = variant.memory
    whole = max(memory.capacity, memory.total)
    shown = [
        element(
            "i",
            part.name if part.size > LABELLED * whole else None,
            class_=css_class("m", part.key),
            style=f"width:{100 * part.size / whole:.3f}%",
        )
        for part in parts
    ]
    mark = None
    if not memory.fits:
        place = f"left:{100 * memory.capacity / whole:.3f}%"
        mark = element("b", element("span", "end of DRAM"), class_="limit", style=place)
    label = f"{mebibytes(memory.total)} of {mebibytes(memory.capacity)} MiB: {memory.verdict}"
    bar = element("div", *shown, mark, class_="map", role="img", aria_label=label)
    return element("div", bar, class_=None if memory.fits else "over")


def _on_chip(variant: VariantResult) -> Html:
    capacity = variant.deployment.mode.ocm_bytes
    columns = [
        Column("subgraph"),
        Column("peak, KiB", number=True),
        Column("of on-chip memory", number=True),
        Column("spilled to DRAM, MB", number=True),
    ]
    rows = []
    for part, timeline in stage_timelines(variant).items():
        program = timeline.program
        peak = max((max(each.ocm_bytes, default=0.0) for each in program.segments), default=0.0)
        spilled = sum(
            task.dram_bytes
            for segment in program.segments
            for task in segment.tasks
            if task.kind.endswith("ddr_swap")
        )
        rows.append(
            Row([part.name, f"{peak / 1024:.0f}", percent(peak / capacity), f"{spilled / 1e6:.2f}"])
        )
    text = (
        f"{variant.npu_mode} has {capacity / 1024:.0f} KiB. A part is kept for weights that stream "
        "through. Activations that do not fit are written to DRAM and read back."
    )
    return join(table("On-chip memory by subgraph", columns, rows), note(text))
