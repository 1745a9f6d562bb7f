"""Chrome trace events of a run, for Perfetto (ui.perfetto.dev) and chrome://tracing.

One process per variant and stage, with the rows, task kinds and colours of the vendor's compiler
traces: ``conv0``, ``conv1``, ``teng2``, ``sdma4.rd`` …; ``ld:param``, ``ld:input``,
``ld:ddr_swap``, ``st:ddr_swap``, ``st:output`` and uncoloured compute. A process "request" shows
the stages and the host's work. Counters follow DRAM bandwidth and on-chip memory. Every variant
begins at 0; times are microseconds, ``args.starts`` and ``args.dur`` NPU cycles from the start of
the invocation.

Equal images after the first and tokens after the second are outlines in "request" only: their tasks
repeat what is shown.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from axsim.analysis.files import whole_text
from axsim.analysis.traffic import dram_rates, ocm_use
from axsim.compiler.program import Program, Segment, Task
from axsim.machine.timeline import Timeline, Timing
from axsim.runtime.results import RunResult, VariantResult

COLOURS = {
    "st:ddr_swap": "terrible",  # red
    "ld:ddr_swap": "thread_state_runnable",  # blue
    "ld:param": "yellow",
    "ld:input": "good",  # green
    "st:output": "bad",  # orange
}
"""Chrome's colour names for the colours of the vendor's traces; compute has none."""

Event = dict[str, Any]


def write_trace(result: RunResult, path: str | Path, *, flows: bool = False) -> None:
    """Write a trace file, compressed when ``path`` ends in ``.gz``; see :func:`trace_events`."""
    with whole_text(path) as file:
        file.write('{"displayTimeUnit":"ns","traceEvents":[')
        separator = "\n"
        for event in trace_events(result, flows=flows):
            file.write(separator)
            file.write(json.dumps(event, separators=(",", ":"), ensure_ascii=False))
            separator = ",\n"
        file.write("\n]}\n")


def trace_events(result: RunResult, *, flows: bool = False) -> Iterator[Event]:
    """The events of every variant; with ``flows`` also an arrow for each dependency."""
    pid = 1
    for variant in result:
        tracer = _Variant(variant, pid, flows)
        yield from tracer.events()
        pid = tracer.next_pid


class _Variant:
    """Lays the stages of one request out in time."""

    def __init__(self, variant: VariantResult, pid: int, flows: bool) -> None:
        self._variant = variant
        self._request = pid
        self.next_pid = pid + 1
        self._flows = flows
        self._flow = pid << 32
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
        yield self._slice(self._request, 0, name, start, ms * 1e3)
        if timeline is not None:
            pid = self.next_pid
            self.next_pid += 1
            rows = [engine.name for engine in timeline.program.engines]
            yield from self._process(pid, process, rows)
            host = max(0.0, ms * 1e3 / repeats - timeline.duration_us)
            for index in range(repeats):
                if not host_last:
                    yield from self._host(f"host loop, {process}", host)
                prefix = f"layer{index}." if repeats > 1 else ""
                yield from self._invocation(pid, timeline, prefix)
                self._now += timeline.duration_us
                if host_last:
                    yield from self._host(f"host loop, {process}", host)
        self._now = start + ms * 1e3

    def _invocation(self, pid: int, timeline: Timeline, prefix: str) -> Iterator[Event]:
        program = timeline.program
        cycles = self._variant.chip.calibrated.clock_mhz
        first = 0
        rows = zip(program.segments, timeline.offsets_us, timeline.timings, strict=True)
        for index, (segment, offset, timing) in enumerate(rows):
            layer = _layer(program, index)
            tiles: Counter[tuple[int, int, str]] = Counter()
            for number, task in enumerate(segment.tasks):
                tile = tiles[task.step, task.engine, task.kind]
                tiles[task.step, task.engine, task.kind] += 1
                label = f"{prefix}{layer}{segment.steps[task.step].label}"
                start, end = timing.start_us[number], timing.end_us_of[number]
                event = self._slice(
                    pid, task.engine, f"{_PREFIX[task.kind]}{label}_{tile}",
                    self._now + offset + start, end - start,
                )  # fmt: skip
                event["cat"] = task.kind
                if task.kind in COLOURS:
                    event["cname"] = COLOURS[task.kind]
                event["args"] = {
                    "label": label,
                    **_ends(task),
                    "dur": round((end - start) * cycles),
                    "starts": round((offset + start) * cycles),
                    "id": first + number,
                    "dep_by": [first + each for each in task.deps],
                }
                yield event
                if self._flows:
                    yield from self._arrows(pid, segment, timing, number, self._now + offset)
            yield from self._counters(pid, segment, timing, self._now + offset)
            first += len(segment.tasks)

    def _arrows(
        self, pid: int, segment: Segment, timing: Timing, number: int, base: float
    ) -> Iterator[Event]:
        task = segment.tasks[number]
        for source in task.deps:
            self._flow += 1
            common = {"name": "dependency", "cat": "dependency", "id": self._flow, "pid": pid}
            tail = _us(base + timing.end_us_of[source])
            yield {"ph": "s", "tid": segment.tasks[source].engine + 1, "ts": tail, **common}
            head = _us(base + timing.start_us[number])
            yield {"ph": "f", "bp": "e", "tid": task.engine + 1, "ts": head, **common}

    def _counters(self, pid: int, segment: Segment, timing: Timing, base: float) -> Iterator[Event]:
        """DRAM bandwidth between the starts and ends of transfers; on-chip memory step by step."""
        bandwidth = self._variant.chip.sustained_gbps * 1e3
        for time, rates in dram_rates(segment, timing, bandwidth):
            # bytes per microsecond are 1e-3 GB/s
            rate = round(sum(rates.values()) / 1e3, 2)
            yield _counter(pid, "DRAM bandwidth", "GB/s", base + time, rate)
        for time, size in ocm_use(segment, timing):
            yield _counter(pid, "on-chip memory", "KiB", base + time, round(size / 1024, 1))

    def _host(self, name: str, us: float) -> Iterator[Event]:
        if us > 0:
            yield self._slice(self._request, 1, name, self._now, us)
            self._now += us

    def _slice(self, pid: int, row: int, name: str, start: float, us: float) -> Event:
        times = {"ts": _us(start), "dur": max(0.0, round(us, 4))}
        return {"ph": "X", "pid": pid, "tid": row + 1, "name": name, **times}

    def _process(self, pid: int, name: str, rows: tuple[str, ...] | list[str]) -> Iterator[Event]:
        title = f"{self._variant.name}: {name}"
        yield {"ph": "M", "pid": pid, "name": "process_name", "args": {"name": title}}
        yield {"ph": "M", "pid": pid, "name": "process_sort_index", "args": {"sort_index": pid}}
        for row, text in enumerate(rows):
            tid = row + 1
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


def _counter(pid: int, name: str, unit: str, time: float, value: float) -> Event:
    return {"ph": "C", "pid": pid, "name": name, "ts": _us(time), "args": {unit: value}}


def _us(time: float) -> float:
    return round(time, 4)
