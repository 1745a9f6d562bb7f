"""Chrome trace events of a run, for Perfetto (ui.perfetto.dev) and chrome://tracing.

One process per variant, one after the other: the request from its arrival to the last token, with a
row for what is being done, one for the host, and the engines' rows, task kinds and colours of the
vendor's compiler traces: ``conv0``, ``conv1``, ``teng2``, ``sdma4.rd`` …; ``ld:param``,
``ld:input``, ``ld:ddr_swap``, ``st:ddr_swap``, ``st:output`` and uncoloured compute. Arrows lead
from a task to those that need it. Counters follow DRAM bandwidth and on-chip memory. Times are
microseconds in whole nanoseconds, so that slices of a row never overlap; ``args.starts_cycles``,
from the start of the invocation, and ``args.dur_cycles`` are NPU cycles.

Layers that are alike stand in full, but only the first is explained: tasks of the others have one
argument, ``as``, the ``id`` of the same task in the first, and no arrows. Engines are not drawn for
images after the first and tokens after the second.
"""

from __future__ import annotations

import itertools
import json
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Literal

from axsim.compiler.program import Program, Segment, Task
from axsim.files import whole_text
from axsim.machine.timeline import Timing
from axsim.runs.results import RunResult, VariantResult
from axsim.show.palette import TRACE
from axsim.show.traffic import dram_rates, ocm_use
from axsim.system.request import Pass, Stage
from axsim.system.request_timeline import HostSlice, Invocation, RequestTimeline

Event = dict[str, Any]


def write_trace(result: RunResult, path: str | Path) -> None:
    """Write a trace file, compressed when ``path`` ends in ``.gz``; see :func:`trace_events`."""
    write_events(trace_events(result), path, "ns")


def write_events(events: Iterable[Event], path: str | Path, unit: Literal["ms", "ns"]) -> None:
    """Write a file of trace events, whose viewer shows times in ``unit``."""
    with whole_text(path) as file:
        file.write(f'{{"displayTimeUnit":"{unit}","traceEvents":[')
        separator = "\n"
        for event in events:
            file.write(separator)
            file.write(json.dumps(event, separators=(",", ":"), ensure_ascii=False))
            separator = ",\n"
        file.write("\n]}\n")


def trace_events(result: RunResult) -> Iterator[Event]:
    """The events of every variant and of every turn of a conversation, one after the other: they do
    not run at once."""
    arrows = itertools.count(1)
    begin = 0
    turns = (turn for variant in result for turn in variant.turns)
    for pid, turn in enumerate(turns, 1):
        for event in _Request(turn, pid, arrows).events():
            if "ts" in event:
                event["ts"] = (begin + _ns(event["ts"])) / 1e3
            yield event
        begin += _ns(turn.timeline.ms * 1e3) + GAP_NS


GAP_NS = 1_000_000
"""Between the end of one request and the begin of the next."""

REQUEST, HOST, ENGINES = 0, 1, 2
"""Rows: what is being done, the host's work, and the first engine."""


class _Request:
    """Lays one request out in time."""

    def __init__(self, variant: VariantResult, pid: int, arrows: Iterator[int]) -> None:
        self._variant, self._pid = variant, pid
        self._arrow_ids = arrows
        self._explained: dict[Segment, int] = {}  # the first id of each segment that was shown
        self._next_id = 0

    def events(self) -> Iterator[Event]:
        request = self._variant.timeline
        yield from self._process(request)
        drawn: list[Invocation] = []
        for work, slices in request.by_pass():
            yield self._slice(REQUEST, _title(work), slices[0].start_us, slices[-1].end_us)
            for each in slices:
                if isinstance(each, HostSlice):
                    if each.end_us > each.start_us:
                        yield self._slice(HOST, f"{each.stage}, host", each.start_us, each.end_us)
                elif work.index <= LAST_DRAWN[work.stage]:
                    drawn.append(each)
                    prefix = f"layer{each.layer}." if work.layers > 1 else ""
                    yield from self._invocation(each, prefix)
        yield from self._counters(drawn)

    def _invocation(self, invocation: Invocation, prefix: str) -> Iterator[Event]:
        """Every task."""
        timeline = invocation.timeline
        program = timeline.program
        rows = zip(program.segments, timeline.offsets_us, timeline.timings, strict=True)
        for index, (segment, offset, timing) in enumerate(rows):
            layer = f"{prefix}{_layer(program, index)}"
            again, first = segment in self._explained, self._next_id
            known = self._explained.setdefault(segment, first)
            tiles: Counter[tuple[int, int, str]] = Counter()
            for number, task in enumerate(segment.tasks):
                tile = tiles[task.step, task.engine, task.kind]
                tiles[task.step, task.engine, task.kind] += 1
                label = f"{layer}{segment.steps[task.step].label}"
                start, end = timing.start_us[number], timing.end_us_of[number]
                base = invocation.start_us + offset
                name = f"{_PREFIX[task.kind]}{label}_{tile}"
                event = self._slice(ENGINES + task.engine, name, base + start, base + end)
                event["cat"] = task.kind
                if task.kind in TRACE:
                    event["cname"] = TRACE[task.kind]
                if again:
                    event["args"] = {"as": known + number}
                    yield event
                    continue
                cycles = self._variant.chip.calibrated.clock_mhz
                event["args"] = {
                    "label": label,
                    **_ends(task),
                    "dur_cycles": round((end - start) * cycles),
                    "starts_cycles": round((offset + start) * cycles),
                    "id": first + number,
                    "dep_by": [first + each for each in task.deps],
                }
                yield event
                yield from self._arrows(segment, timing, number, base)
            self._next_id += len(segment.tasks)

    def _arrows(
        self, segment: Segment, timing: Timing, number: int, base: float
    ) -> Iterator[Event]:
        """From the last nanosecond of what a task needs to its own first. Slices that are shorter
        than that cannot hold an arrow."""
        task = segment.tasks[number]
        head, end = _ns(base + timing.start_us[number]), _ns(base + timing.end_us_of[number])
        for source in task.deps:
            begin, tail = _ns(base + timing.start_us[source]), _ns(base + timing.end_us_of[source])
            if begin < tail and head < end:
                common = {"name": "dependency", "cat": "dependency", "id": next(self._arrow_ids)}
                row = self._row(ENGINES + segment.tasks[source].engine)
                yield {"ph": "s", **row, "ts": (tail - 1) / 1e3, **common}
                row = self._row(ENGINES + task.engine)
                yield {"ph": "f", "bp": "e", **row, "ts": head / 1e3, **common}

    def _counters(self, drawn: Iterable[Invocation]) -> Iterator[Event]:
        """DRAM bandwidth between the starts and ends of transfers; on-chip memory step by step."""
        capacity = self._variant.chip.sustained_gbps * 1e3
        bandwidth: list[tuple[int, float]] = []
        memory: list[tuple[int, float]] = []
        for invocation in drawn:
            timeline = invocation.timeline
            rows = zip(
                timeline.program.segments, timeline.offsets_us, timeline.timings, strict=True
            )
            for segment, offset, timing in rows:
                base = invocation.start_us + offset
                for time, rates in dram_rates(segment, timing, capacity):
                    # bytes per microsecond are 1e-3 GB/s
                    bandwidth.append((_ns(base + time), round(sum(rates.values()) / 1e3, 2)))
                for time, size in ocm_use(segment, timing):
                    memory.append((_ns(base + time), round(size / 1024, 1)))
            memory.append((_ns(invocation.end_us), 0.0))
        yield from _counter(self._pid, "DRAM bandwidth", "GB/s", bandwidth)
        yield from _counter(self._pid, "on-chip memory", "KiB", memory)

    def _process(self, request: RequestTimeline) -> Iterator[Event]:
        """Names of the process and its rows."""
        process = {"ph": "M", "pid": self._pid}
        yield {**process, "name": "process_name", "args": {"name": self._variant.name}}
        yield {**process, "name": "process_sort_index", "args": {"sort_index": self._pid}}
        ran = next((detail for detail in request.details if detail is not None), None)
        engines = () if ran is None else ran.program.engines
        for row, name in enumerate(["request", "host", *(engine.name for engine in engines)]):
            about = {"ph": "M", **self._row(row)}
            yield {**about, "name": "thread_name", "args": {"name": name}}
            yield {**about, "name": "thread_sort_index", "args": {"sort_index": row + 1}}

    def _row(self, row: int) -> Event:
        return {"pid": self._pid, "tid": row + 1}

    def _slice(self, row: int, name: str, start: float, end: float) -> Event:
        begin = _ns(start)
        times = {"ts": begin / 1e3, "dur": (_ns(end) - begin) / 1e3}
        return {"ph": "X", **self._row(row), "name": name, **times}


LAST_DRAWN: dict[Stage, int] = {
    "preprocess": 0,
    "vision": 0,
    "prefill": 0,
    "decode": 1,
    "post": 1,
    "graph": 0,
}
"""The last image or token whose tasks are drawn."""


def _title(work: Pass) -> str:
    """A pass in the row of the request; tokens are counted from 1, as people do."""
    if work.stage == "vision":
        return f"vision {work.index + 1}" if work.index else "vision"
    if not work.index:
        return work.stage
    return f"token {work.index + 1}, {'layers' if work.stage == 'decode' else work.stage}"


_PREFIX = {
    "compute": "",
    "ld:param": "ld:",
    "ld:input": "ld:",
    "ld:ddr_swap": "ld:",
    "st:ddr_swap": "st:",
    "st:output": "st:",
}


def _layer(program: Program, index: int) -> str:
    """``layers.3.`` for a segment that is one of the tower's layers."""
    node = next((nodes[0] for nodes in program.nodes[index] if nodes), "")
    parts = node.split(".", 2)
    return f"layers.{parts[1]}." if len(parts) == 3 and parts[0] == "layers" else ""


def _ends(task: Task) -> Event:
    """What a task reads and writes: on-chip memory, or so many bytes of one kind in DRAM."""
    if task.kind == "compute":
        return {"inputs": ["ocm"], "outputs": ["ocm"]}
    size = round(task.dram_bytes)
    ends = [f"{task.kind[3:]}:{size}"], ["ocm"]
    source, target = ends if task.kind.startswith("ld") else ends[::-1]
    return {"inputs": source, "outputs": target, "bytes": size}


def _counter(
    pid: int, name: str, unit: str, values: Iterable[tuple[int, float]]
) -> Iterator[Event]:
    """Values over time, those left out that change nothing or last no nanosecond."""
    shown = None
    for ns, value in dict(values).items():  # the last one of a nanosecond
        if value != shown:
            shown = value
            yield {"ph": "C", "pid": pid, "name": name, "ts": ns / 1e3, "args": {unit: value}}


def _ns(us: float) -> int:
    return round(us * 1e3)
