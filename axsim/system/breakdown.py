"""Where the time of each stage goes: operator classes, engines, DRAM.

Operators overlap, so each is charged for what it adds: the window from the retirement of everything
before it to its own (steps retire in program order). With the fixed cost of invocations and the
host's work the windows sum to the stage's time. So do the engines' parts of the critical path
(:mod:`axsim.system.critical_path`), which say what the stage waits for.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from axsim.compiler.program import Program, Segment, Task
from axsim.machine.timeline import Timeline, Timing
from axsim.spec.chip import Chip
from axsim.system.critical_path import critical_us
from axsim.system.request_timeline import Part, RequestTimeline, Span

ENGINES = ("conv", "teng", "sdma", "dram", "host")
INVOCATION, HOST, WAITING = "invocation", "host", "waiting"
"""Classes beside those of operators: the fixed cost of subgraph invocations, CPU work, and waiting
for what others hold."""


@dataclass(frozen=True)
class StageBreakdown:
    """One part of a request, all layers together.

    ``count`` times before the first token (vision: images) or in a decode step, ``ms`` each.
    ``by_operator`` splits ``ms`` by operator class, ``by_engine`` by what the stage waits for: the
    engines on its critical path; both longest first. ``busy`` is the fraction of ``ms`` that each
    engine works: CONV and TENG on average over the units, SDMA its busiest queue, DRAM its
    bandwidth, host the CPU. ``dram_bytes`` is what crosses the DRAM interface by task kind.
    ``mac_utilisation``: multiply-accumulates over what CONV could do with INT8 operands.
    """

    part: Part
    count: int
    ms: float
    by_operator: Mapping[str, float]
    by_engine: Mapping[str, float]
    busy: Mapping[str, float]
    dram_bytes: Mapping[str, int]
    macs: int
    mac_utilisation: float

    @property
    def name(self) -> str:
        """The part's, for people."""
        return self.part.name

    @property
    def bound(self) -> str:
        """The engine that the stage waits for most: what to speed up first."""
        return next(iter(self.by_engine))

    @property
    def total_dram_bytes(self) -> int:
        """All bytes that cross the DRAM interface."""
        return sum(self.dram_bytes.values())

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "stage": self.name,
            "count": self.count,
            "ms": self.ms,
            "bound": self.bound,
            "by_operator_ms": dict(self.by_operator),
            "by_engine_ms": dict(self.by_engine),
            "busy": dict(self.busy),
            "dram_bytes": dict(self.dram_bytes),
            "macs": self.macs,
            "mac_utilisation": self.mac_utilisation,
        }


def breakdown(request: RequestTimeline, chip: Chip) -> tuple[StageBreakdown, ...]:
    """Every part of a request in order: preprocess, vision, prefill chunks, post, decode.

    ``decode`` is a token's way through the layers; its post is as long as the first one.
    """
    return tuple(
        _stage(span, chip) if span.invocations else _host_only(span)
        for span in request.spans.values()
    )


def invocation_breakdown(part: Part, timeline: Timeline, chip: Chip) -> StageBreakdown:
    """One invocation alone, without the host's work around it."""
    return _stage(Span(part, 1, timeline.duration_ms, 0.0, 0.0, (timeline,)), chip)


def _host_only(span: Span) -> StageBreakdown:
    busy = {engine: float(engine == HOST) for engine in ENGINES}
    whole = {HOST: span.ms}
    return StageBreakdown(span.part, 1, span.ms, whole, whole, busy, {}, 0, 0.0)


def _stage(span: Span, chip: Chip) -> StageBreakdown:
    by_operator: dict[str, float] = defaultdict(float)
    by_engine: dict[str, float] = defaultdict(float)
    busy_us = dict.fromkeys(ENGINES, 0.0)
    dram: dict[str, float] = defaultdict(float)
    macs, fixed = 0, 0.0
    known: dict[int, _Sums] = {}
    for timeline, repeats in span.distinct():
        program = timeline.program
        for segment, timing in zip(program.segments, timeline.timings, strict=True):
            if id(timing) not in known:
                known[id(timing)] = _sums(segment, timing, program)
            sums = known[id(timing)]
            for source, total in (
                (sums.by_operator, by_operator),
                (sums.by_engine, by_engine),
                (sums.dram_bytes, dram),
                (sums.busy_us, busy_us),
            ):
                for name_of, amount in source.items():
                    total[name_of] += amount * repeats
            macs += sum(step.macs for step in segment.steps) * repeats
        fixed += (timeline.duration_us - sum(t.end_us for t in timeline.timings)) * repeats
    by_operator[INVOCATION] = by_engine[INVOCATION] = fixed
    if span.host_ms:
        by_operator[HOST] = by_engine[HOST] = busy_us[HOST] = span.host_ms * 1e3
    if span.waited_ms:
        by_operator[WAITING] = by_engine[WAITING] = span.waited_ms * 1e3
    ms, engines = span.ms, span.invocations[0].program.engines
    us = ms * 1e3
    units = sum(engine.kind == "conv" for engine in engines)
    peak = units * chip.int8_macs_per_cycle * chip.calibrated.clock_mhz * us
    return StageBreakdown(
        span.part,
        span.count if span.part.stage == "vision" else 1,
        ms,
        _longest_first(by_operator),
        _longest_first(by_engine),
        {engine: spent / us for engine, spent in busy_us.items()},
        {kind: round(size) for kind, size in dram.items()},
        macs,
        macs / peak,
    )


def _longest_first(us: Mapping[str, float]) -> dict[str, float]:
    """Milliseconds from microseconds."""
    return {name: spent / 1e3 for name, spent in sorted(us.items(), key=lambda item: -item[1])}


@dataclass(frozen=True)
class _Sums:
    """Totals over one segment's tasks, microseconds and bytes."""

    by_operator: dict[str, float]
    by_engine: dict[str, float]
    busy_us: dict[str, float]
    dram_bytes: dict[str, float]


def _sums(segment: Segment, timing: Timing, program: Program) -> _Sums:
    by_operator: dict[str, float] = defaultdict(float)
    by_engine: dict[str, float] = defaultdict(float)
    dram: dict[str, float] = defaultdict(float)
    retired = [0.0] * len(segment.steps)
    spans = list(zip(segment.tasks, timing.start_us, timing.end_us_of, strict=True))
    for task, _, end in spans:
        retired[task.step] = max(retired[task.step], end)
        if task.dram_bytes:
            dram[task.kind] += task.dram_bytes
    before = 0.0
    for step, end in zip(segment.steps, retired, strict=True):
        if end > before:
            by_operator[step.operator] += end - before
            before = end
    for cause, spent in critical_us(segment, timing, program.engines).items():
        by_engine[cause.resource] += spent
    return _Sums(by_operator, by_engine, _busy(spans, program), dram)


def _busy(spans: Sequence[tuple[Task, float, float]], program: Program) -> dict[str, float]:
    """Microseconds that each kind of engine works."""
    engine_us = [0.0] * len(program.engines)
    cost = 0.0
    for task, begin, stop in spans:
        engine_us[task.engine] += stop - begin
        cost += task.dram_cost_bytes
    kinds: dict[str, list[float]] = {"conv": [], "teng": [], "sdma": []}
    for engine, spent in zip(program.engines, engine_us, strict=True):
        kinds[engine.kind].append(spent)
    conv, teng = (sum(kinds[kind]) / len(kinds[kind]) for kind in ("conv", "teng"))
    dram = cost / program.dram_bytes_per_us
    return {"conv": conv, "teng": teng, "sdma": max(kinds["sdma"]), "dram": dram}
