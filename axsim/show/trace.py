"""Chrome trace events of a run, for Perfetto (ui.perfetto.dev) and chrome://tracing.

One process per variant and stage, with the rows, task kinds and colours of the vendor's compiler
traces: ``conv0``, ``conv1``, ``teng2``, ``sdma4.rd`` …; ``ld:param``, ``ld:input``,
``ld:ddr_swap``, ``st:ddr_swap``, ``st:output`` and uncoloured compute. Arrows lead from a task to
those that need it. Counters follow DRAM bandwidth and on-chip memory. A process "request" shows the
stages and the host's work. Every variant begins at 0; times are microseconds in whole nanoseconds,
so that slices of a row never overlap; ``args.starts`` and ``args.dur`` are NPU cycles, from the
start of the invocation.

Layers that are alike stand in full, but only the first is explained: tasks of the others have one
argument, ``as``, the ``id`` of the same task in the first, and no arrows. Equal images after the
first and tokens after the second are outlines in "request".
"""

from __future__ import annotations

import itertools
import json
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from axsim.compiler.program import Program, Segment, Task
from axsim.files import whole_text
from axsim.machine.timeline import Timeline, Timing
from axsim.runs.results import RunResult, VariantResult
from axsim.show.traffic import dram_rates, ocm_use

COLOURS = {
    "st:ddr_swap": "terrible",  # red
    "ld:ddr_swap": "thread_state_runnable",  # blue
    "ld:param": "yellow",
    "ld:input": "good",  # green
    "st:output": "bad",  # orange
}
"""Chrome's colour names for the colours of the vendor's traces; compute has none."""

Event = dict[str, Any]


def write_trace(result: RunResult, path: str | Path) -> None:
    """Write a trace file, compressed when ``path`` ends in ``.gz``; see :func:`trace_events`."""
    with whole_text(path) as file:
        file.write('{"displayTimeUnit":"ns","traceEvents":[')
        separator = "\n"
        for event in trace_events(result):
            file.write(separator)
            file.write(json.dumps(event, separators=(",", ":"), ensure_ascii=False))
            separator = ",\n"
        file.write("\n]}\n")


def trace_events(result: RunResult) -> Iterator[Event]:
    """The events of every variant."""
    pid, arrows = 1, itertools.count(1)
    for variant in result:
        tracer = _Variant(variant, pid, arrows)
        yield from tracer.events()
        pid = tracer.next_pid


class _Variant:
    """Lays the stages of one request out in time."""

    def __init__(self, variant: VariantResult, pid: int, arrows: Iterator[int]) -> None:
        self._variant = variant
        self._request = pid
        self.next_pid = pid + 1
        self._arrow_ids = arrows
        self._now = 0.0

    def events(self) -> Iterator[Event]:
        stages = self._variant.stages
        yield from self._process(self._request, "request", ("stages", "host"))
        if stages.vision is not None and stages.images:
            yield from self._host("preprocess", stages.preprocess_ms * 1e3)
            for image in range(stages.images):
                name = "vision encode" + (f" {image + 1}" if stages.images > 1 else "")
                detail = stages.vision if image == 0 else None
                yield from self._stage(name, "vision", stages.vision_encode_ms, detail, 1)
        for index, (chunk, ms) in enumerate(zip(stages.prefill, stages.prefill_ms, strict=True)):
            name = f"prefill {index + 1}" if len(stages.prefill) > 1 else "prefill"
            yield from self._stage(name, name, ms, chunk, stages.layers)
        if stages.post is None or stages.decode is None:
            return
        yield from self._stage("post", "post", stages.post_ms, stages.post, 1, host_last=True)
        layers_ms = stages.token_ms - stages.post_ms
        for token in range(1, self._variant.new_tokens):
            if token == 1:
                name = "token 2, layers"
                yield from self._stage(name, "decode", layers_ms, stages.decode, stages.layers)
                name = "token 2, post"
                yield from self._stage(
                    name, "decode post", stages.post_ms, stages.post, 1, host_last=True
                )
            else:
                yield from self._stage(f"token {token + 1}", "", stages.token_ms, None, 1)

    def _stage(
        self,
        name: str,
        process: str,
        ms: float,
        timeline: Timeline | None,
        repeats: int,
        host_last: bool = False,
    ) -> Iterator[Event]:
        """A stage's outline and, with ``timeline``, its tasks; what the NPU leaves is the host's,
        in equal parts before (or after) every invocation."""
        start = self._now
        yield _slice(self._request, 0, name, start, start + ms * 1e3)
        if timeline is not None:
            pid = self.next_pid
            self.next_pid += 1
            yield from self._process(pid, process, [e.name for e in timeline.program.engines])
            host = max(0.0, ms * 1e3 / repeats - timeline.duration_us)
            explained: dict[Segment, int] = {}
            begins = []
            for index in range(repeats):
                if not host_last:
                    yield from self._host(f"host loop, {process}", host)
                prefix = f"layer{index}." if repeats > 1 else ""
                begins.append(self._now)
                yield from self._invocation(pid, timeline, prefix, explained)
                self._now += timeline.duration_us
                if host_last:
                    yield from self._host(f"host loop, {process}", host)
            yield from self._counters(pid, timeline, begins)
        self._now = start + ms * 1e3

    def _invocation(
        self, pid: int, timeline: Timeline, prefix: str, explained: dict[Segment, int]
    ) -> Iterator[Event]:
        """Every task; ``explained`` has the first id of each segment that was shown before."""
        program = timeline.program
        first = 0
        rows = zip(program.segments, timeline.offsets_us, timeline.timings, strict=True)
        for index, (segment, offset, timing) in enumerate(rows):
            layer = f"{prefix}{_layer(program, index)}"
            again = segment in explained
            known = explained.setdefault(segment, first)
            tiles: Counter[tuple[int, int, str]] = Counter()
            for number, task in enumerate(segment.tasks):
                tile = tiles[task.step, task.engine, task.kind]
                tiles[task.step, task.engine, task.kind] += 1
                label = f"{layer}{segment.steps[task.step].label}"
                start, end = timing.start_us[number], timing.end_us_of[number]
                base = self._now + offset
                name = f"{_PREFIX[task.kind]}{label}_{tile}"
                event = _slice(pid, task.engine, name, base + start, base + end)
                event["cat"] = task.kind
                if task.kind in COLOURS:
                    event["cname"] = COLOURS[task.kind]
                if again:
                    event["args"] = {"as": known + number}
                    yield event
                    continue
                cycles = self._variant.chip.calibrated.clock_mhz
                event["args"] = {
                    "label": label,
                    **_ends(task),
                    "dur": round((end - start) * cycles),
                    "starts": round((offset + start) * cycles),
                    "id": first + number,
                    "dep_by": [first + each for each in task.deps],
                }
                yield event
                yield from self._arrows(pid, segment, timing, number, base)
            first += len(segment.tasks)

    def _arrows(
        self, pid: int, segment: Segment, timing: Timing, number: int, base: float
    ) -> Iterator[Event]:
        """From the last nanosecond of what a task needs to its own first. Slices that are shorter
        than that cannot hold an arrow."""
        task = segment.tasks[number]
        head, end = _ns(base + timing.start_us[number]), _ns(base + timing.end_us_of[number])
        for source in task.deps:
            begin, tail = _ns(base + timing.start_us[source]), _ns(base + timing.end_us_of[source])
            if begin < tail and head < end:
                common = {"name": "dependency", "cat": "dependency", "id": next(self._arrow_ids)}
                row = segment.tasks[source].engine + 1
                yield {"ph": "s", "pid": pid, "tid": row, "ts": (tail - 1) / 1e3, **common}
                row = task.engine + 1
                yield {"ph": "f", "bp": "e", "pid": pid, "tid": row, "ts": head / 1e3, **common}

    def _counters(self, pid: int, timeline: Timeline, begins: Iterable[float]) -> Iterator[Event]:
        """DRAM bandwidth between the starts and ends of transfers; on-chip memory step by step."""
        capacity = self._variant.chip.sustained_gbps * 1e3
        bandwidth: list[tuple[int, float]] = []
        memory: list[tuple[int, float]] = []
        for begin in begins:
            rows = zip(
                timeline.program.segments, timeline.offsets_us, timeline.timings, strict=True
            )
            for segment, offset, timing in rows:
                base = begin + offset
                for time, rates in dram_rates(segment, timing, capacity):
                    # bytes per microsecond are 1e-3 GB/s
                    bandwidth.append((_ns(base + time), round(sum(rates.values()) / 1e3, 2)))
                for time, size in ocm_use(segment, timing):
                    memory.append((_ns(base + time), round(size / 1024, 1)))
            memory.append((_ns(begin + timeline.duration_us), 0.0))
        yield from _counter(pid, "DRAM bandwidth", "GB/s", bandwidth)
        yield from _counter(pid, "on-chip memory", "KiB", memory)

    def _host(self, name: str, us: float) -> Iterator[Event]:
        if us > 0:
            yield _slice(self._request, 1, name, self._now, self._now + us)
            self._now += us

    def _process(self, pid: int, name: str, rows: Iterable[str]) -> Iterator[Event]:
        title = f"{self._variant.name}: {name}"
        yield {"ph": "M", "pid": pid, "name": "process_name", "args": {"name": title}}
        yield {"ph": "M", "pid": pid, "name": "process_sort_index", "args": {"sort_index": pid}}
        for tid, text in enumerate(rows, 1):
            about = {"ph": "M", "pid": pid, "tid": tid}
            yield {**about, "name": "thread_name", "args": {"name": text}}
            yield {**about, "name": "thread_sort_index", "args": {"sort_index": tid}}


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


def _slice(pid: int, row: int, name: str, start: float, end: float) -> Event:
    begin = _ns(start)
    times = {"ts": begin / 1e3, "dur": (_ns(end) - begin) / 1e3}
    return {"ph": "X", "pid": pid, "tid": row + 1, "name": name, **times}


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
