"""The timeline of the execution units, drawn by ``timeline_draw.js`` from compact data.

Equal segments of a program are written once, and equal subgraphs of several variants too. Times are
whole nanoseconds. Each list about a segment's tasks has one number for each task, in program order:

* ``e`` engine, ``k`` kind, ``s`` step;
* ``g`` the gap between the task before it on its engine (or the segment's start) and its start,
  ``d`` its duration, ``b`` the bytes that it moves over the DRAM interface;
* ``w`` how many places before it stands the task that it waited for, 0 for none.

``dram`` alternates times since the entry before and the megabytes per second from then on; ``ocm``
likewise with bytes of on-chip memory.
"""

from __future__ import annotations

import json
from typing import Any

from axsim.compiler.program import Program, Segment
from axsim.fidelity.prediction import number
from axsim.machine.timeline import Timeline, Timing
from axsim.runs.results import VariantResult
from axsim.show.palette import HOST, RESOURCES, TRANSFERS, Fill, lifted
from axsim.show.report.colours import css_class
from axsim.show.report.content import Report
from axsim.show.report.figures import KINDS, legend
from axsim.show.report.markup import Html, element, note
from axsim.show.report.markup import section as section_of
from axsim.show.timelines import stage_timelines
from axsim.show.traffic import dram_rates, ocm_use
from axsim.system.critical_path import waited_for
from axsim.system.request_timeline import Part

HELP = (
    "Zoom with the wheel, two fingers, the buttons or + and −; move by dragging or with Shift and "
    "the arrow keys; 0 shows all. Point at a task, tap it, or go from task to task with the arrow "
    "keys, for what it is."
)


def section(report: Report) -> Html:
    """The controls, the canvas, and the data for the script."""
    document = json.dumps(data(report), separators=(",", ":"), ensure_ascii=False)
    controls = element(
        "div",
        element("label", "Subgraph ", element("select", data_role="stage")),
        element("span",
            _button("out", "−", "Zoom out"),
            _button("in", "+", "Zoom in"),
            _button("all", "All", "Show all"),
            class_="buttons"),
        element("label", element("input", type="checkbox", data_role="path"), " critical path"),
        element("output", data_role="range"),
        class_="controls",
    )  # fmt: skip
    canvas = element(
        "canvas", tabindex=0, role="application", aria_roledescription="timeline",
        aria_label="Timeline of the execution units", aria_describedby="timeline-help",
    )  # fmt: skip
    tip = element("div", class_="tip", role="status", hidden=True)
    about = element("p", class_="note", data_role="about")
    frame = element("div", canvas, tip, class_="frame")
    script = element("script", _raw(document), type="application/json", id="timeline-data")
    return section_of(
        "timeline",
        "Timeline",
        element(
            "div", controls, about, frame, _legend(), note(HELP, id_="timeline-help"),
            class_="timeline",
        ),
        element("noscript", note("The timeline is drawn by a script, which does not run here.")),
        script,
    )  # fmt: skip


def data(report: Report) -> dict[str, Any]:
    """What the script draws; see the module's text."""
    graphs: dict[str, int] = {}
    variants = {}
    for variant in report.result:
        stages = []
        for part, timeline in stage_timelines(variant).items():
            text = json.dumps(_graph(timeline), separators=(",", ":"))
            index = graphs.setdefault(text, len(graphs))
            stages.append([part.name, index, _about(variant, part, timeline)])
        variants[variant.name] = {"ocm": variant.deployment.mode.ocm_bytes, "stages": stages}
    fills = {"compute": RESOURCES["conv"], **TRANSFERS}
    kinds = [[kind, KINDS[kind], _colours(fill), bool(fill.hatch)] for kind, fill in fills.items()]
    return {
        "kinds": kinds,
        "lanes": [_colours(RESOURCES["dram"]), _colours(HOST)],
        "graphs": [json.loads(text) for text in graphs],
        "variants": variants,
    }


def _raw(text: str) -> Html:
    """JSON that cannot end the script element that it stands in."""
    return Html(text.replace("<", "\\u003c"))


def _button(role: str, text: str, label: str) -> Html:
    return element("button", text, type="button", data_role=role, aria_label=label, title=label)


def _legend() -> Html:
    """A swatch for each kind of task."""
    computing = [(css_class("r", kind), f"{kind.upper()} compute", "") for kind in ("conv", "teng")]
    moving = [(css_class("t", kind), kind, KINDS[kind]) for kind in TRANSFERS]
    return legend([*computing, *moving])


def _colours(fill: Fill) -> list[str]:
    """On a light page, and on a dark one."""
    return [fill.color, lifted(fill.color)]


def _about(variant: VariantResult, part: Part, timeline: Timeline) -> str:
    """What the subgraph is, and how often a request runs it."""
    ms = f"{number(timeline.duration_ms)} ms"
    layers = len(variant.planned.spans[part].invocations)
    workload = variant.workload
    if part.stage == "vision":
        images = workload.images
        often = f", for each of {images} images" if images > 1 else ""
        return f"The vision part on one image{often}: {ms}."
    if part.stage == "graph":
        return f"The network on one image: {ms}."
    if part.stage == "decode":
        cache = workload.build.kv_cache_len
        return f"One of {layers} equal decoder layers on one token, KV cache of {cache}: {ms}."
    if part.stage == "post":
        return f"Final norm and head on one token: {ms}."
    chunk = workload.build.prefill_chunk
    past = workload.histories[part.chunk or 0]
    history = f" and a history of {past}" if past else ""
    return f"One of {layers} equal decoder layers on {chunk} prompt tokens{history}: {ms}."


def _graph(timeline: Timeline) -> dict[str, Any]:
    """A subgraph's execution; ``runs`` are (segment, start, title) in order."""
    program = timeline.program
    known: dict[tuple[int, int], int] = {}
    segments: list[dict[str, Any]] = []
    runs = []
    rows = zip(program.segments, timeline.offsets_us, timeline.timings, strict=True)
    for index, (segment, offset, timing) in enumerate(rows):
        key = (id(segment), id(timing))
        if key not in known:
            known[key] = len(segments)
            segments.append(_segment(segment, timing, program))
        runs.append([known[key], _ns(offset), _title(program, index)])
    return {
        "engines": [engine.name for engine in program.engines],
        "colours": [_colours(RESOURCES[engine.kind]) for engine in program.engines],
        "ns": _ns(timeline.duration_us),
        "mbps": round(program.dram_bytes_per_us),
        "segments": segments,
        "runs": runs,
    }


def _segment(segment: Segment, timing: Timing, program: Program) -> dict[str, Any]:
    kinds = ["compute", *TRANSFERS]
    ends: dict[int, int] = {}
    gaps, lengths = [], []
    for task, start, end in zip(segment.tasks, timing.start_us, timing.end_us_of, strict=True):
        gaps.append(_ns(start) - ends.get(task.engine, 0))
        lengths.append(_ns(end) - _ns(start))
        ends[task.engine] = _ns(end)
    before = waited_for(segment, timing)
    rates = (
        (time, sum(parts.values()))
        for time, parts in dram_rates(segment, timing, program.dram_bytes_per_us)
    )
    return {
        "ns": _ns(timing.end_us),
        "steps": [[step.label, step.operator, step.macs] for step in segment.steps],
        "e": [task.engine for task in segment.tasks],
        "k": [kinds.index(task.kind) for task in segment.tasks],
        "s": [task.step for task in segment.tasks],
        "g": gaps,
        "d": lengths,
        "b": [round(task.dram_bytes) for task in segment.tasks],
        "w": [0 if other < 0 else index - other for index, other in enumerate(before)],
        "dram": _changes(rates),
        "ocm": _changes(ocm_use(segment, timing)),
    }


def _changes(entries: Any) -> list[int]:
    """Times since the entry before, and values, alternately; entries that change nothing are left
    out."""
    found: list[int] = []
    last_time, last_value = 0, None
    for time, value in entries:
        if round(value) != last_value:
            found += [_ns(time) - last_time, round(value)]
            last_time, last_value = _ns(time), round(value)
    return found


def _title(program: Program, index: int) -> str:
    """``layer 3`` for one of the tower's layers, else the segment's name."""
    nodes = next((nodes for nodes in program.nodes[index] if nodes), ("",))
    parts = nodes[0].split(".")
    alone = len(program.segments) == 1
    if parts[0] == "layers" and len(parts) > 2 and not alone:
        return f"layer {parts[1]}"
    return "" if alone else program.segments[index].name


def _ns(us: float) -> int:
    return round(us * 1e3)
