"""Chrome trace events of a simulated scenario, for Perfetto: one process per tenant.

A tenant's rows are its requests (from arrival on, waiting first), what the NPU does for it, and
what the host does for it; a tenant that is no model has one row of its work. Only what reaches into
the kept window is there. Counters follow, for each tenant, the DRAM bandwidth that it uses, in the
windows of the simulation's utilisation. Times are microseconds in whole nanoseconds.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from axsim.runs.shared_results import ScenarioResult
from axsim.show.trace import Event, write_events
from axsim.system.record import Served
from axsim.system.request_timeline import HostSlice

NPU, HOST, REQUESTS = 1, 2, 3
"""Rows of a tenant: requests that overlap take further rows."""


def write_scenario_trace(result: ScenarioResult, path: str | Path) -> None:
    """Write a trace file, compressed when ``path`` ends in ``.gz``."""
    write_events(scenario_events(result), path, "ms")


def scenario_events(result: ScenarioResult) -> Iterator[Event]:
    """The events of every tenant."""
    served = defaultdict(list)
    for each in result.outcome.window:
        served[each.name].append(each)
    begin, end = (limit * 1e6 for limit in result.window_s)
    for pid, tenant in enumerate(result, 1):
        yield {"ph": "M", "pid": pid, "name": "process_name", "args": {"name": tenant.name}}
        yield {"ph": "M", "pid": pid, "name": "process_sort_index", "args": {"sort_index": pid}}
        lanes: list[float] = []  # when each row of requests is free
        for each in sorted(served[tenant.name], key=lambda s: s.job.arrived_us):
            ended = each.timeline.arrived_us + each.timeline.ms * 1e3
            lane = next((n for n, free in enumerate(lanes) if free <= each.job.arrived_us), None)
            if lane is None:
                lane = len(lanes)
                lanes.append(0.0)
            lanes[lane] = ended
            yield from _request(each, pid, REQUESTS + lane, begin, end)
        for slot in result.outcome.slots:
            if slot.name == tenant.name:
                name = tenant.kind
                yield _slice(pid, NPU if name == "npu" else HOST, name, *slot[1:])
        rows = {NPU: "NPU", HOST: "host" if tenant.record or tenant.kind == "cpu" else "DRAM"}
        rows |= {REQUESTS + n: "requests" + (f" {n + 1}" if n else "") for n in range(len(lanes))}
        for row, name in rows.items():
            about = {"ph": "M", "pid": pid, "tid": row}
            yield {**about, "name": "thread_name", "args": {"name": name}}
            order = row - REQUESTS if row >= REQUESTS else row + len(lanes)
            yield {**about, "name": "thread_sort_index", "args": {"sort_index": order}}
        yield from _bandwidth(result, tenant.name, pid, begin, end)


def _request(each: Served, pid: int, row: int, begin: float, end: float) -> Iterator[Event]:
    """A request, its waiting, and its work in the window."""
    timeline, arrived = each.timeline, each.job.arrived_us
    ended = timeline.arrived_us + timeline.ms * 1e3
    event = _slice(pid, row, "request", arrived, ended)
    event["args"] = {"latency_ms": each.latency_ms, "wait_ms": each.wait_ms}
    if timeline.arrivals_ms:
        event["args"]["tokens"] = len(timeline.arrivals_ms)
    yield event
    if timeline.arrived_us > arrived:
        yield _slice(pid, row, "waiting", arrived, timeline.arrived_us)
    for work, slices in timeline.by_pass():
        first, last = (timeline.arrived_us + us for us in (slices[0].start_us, slices[-1].end_us))
        if last < begin or first > end:
            continue
        name = work.stage if not work.index else f"{work.stage} {work.index + 1}"
        yield _slice(pid, row, name, first, last)
        for part in slices:
            start, stop = timeline.arrived_us + part.start_us, timeline.arrived_us + part.end_us
            if stop > start and stop >= begin and start <= end:
                if isinstance(part, HostSlice):
                    yield _slice(pid, HOST, work.stage, start, stop)
                else:
                    label = f"{work.stage} layer {part.layer}" if work.layers > 1 else work.stage
                    yield _slice(pid, NPU, label, start, stop)


def _bandwidth(
    result: ScenarioResult, name: str, pid: int, begin: float, end: float
) -> Iterator[Event]:
    window = result.outcome.usage.window_us
    shown = None
    for index, value in enumerate(result.dram_gbps.get(name, ())):
        time = index * window
        if begin - window < time <= end and value != shown:
            shown = value
            args = {"GB/s": round(value, 3)}
            yield {"ph": "C", "pid": pid, "name": "DRAM bandwidth", "ts": time, "args": args}


def _slice(pid: int, row: int, name: str, start: float, end: float) -> Event:
    begin, stop = round(start * 1e3), round(end * 1e3)
    times = {"ts": begin / 1e3, "dur": (stop - begin) / 1e3}
    return {"ph": "X", "pid": pid, "tid": row, "name": name, **times}
