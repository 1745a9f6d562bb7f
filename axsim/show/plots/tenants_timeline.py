"""Who does what when on a shared chip."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import TYPE_CHECKING

from axsim.runs.shared_results import ScenarioResult
from axsim.show.palette import LOST, STAGES, Fill
from axsim.show.plots.style import SMALL, Span, area, grid, joined_spans, legend, new_figure
from axsim.system.record import Served
from axsim.system.request_timeline import Invocation

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WIDTH = 9.0
FINEST = 1 / 1500
"""Gaps that are shorter than this part of the window are closed."""
LEAST_US = 1e-3
"""Microseconds that no rounding is."""
WAITING, OTHER = "waiting", "other work"
FILLS: dict[str, Fill] = {
    WAITING: LOST,
    **STAGES,
    OTHER: Fill("0.3", "", "white"),
}
"""What rows are filled with: waiting, the stages of requests, work that no model describes."""


def tenants_timeline(result: ScenarioResult) -> Figure:
    """A row for each tenant in the window that the result keeps: what the NPU and the host do for
    it, by stage, and waiting in between. Steady memory traffic has no row.
    Work that no model describes is drawn from its beginning to its end, its waiting for turns too.
    """
    begin, end = (limit * 1e3 for limit in result.window_s)
    end = min(end, result.outcome.ended_us / 1e3)
    rows: dict[str, dict[str, list[Span]]] = {}
    for tenant in result:
        if tenant.record is not None or any(s.name == tenant.name for s in result.outcome.slots):
            rows[tenant.name] = defaultdict(list)
    for served in result.outcome.window:
        for kind, start, stop in _parts(served):
            if stop > begin and start < end:
                rows[served.name][kind].append((max(start, begin), min(stop, end)))
    for slot in result.outcome.slots:
        span = slot.began_us / 1e3, slot.ended_us / 1e3
        if span[1] > begin and span[0] < end:
            rows[slot.name][OTHER].append((max(span[0], begin), min(span[1], end)))
    figure = new_figure(WIDTH, 1.3 + 0.42 * len(rows))
    axes = figure.subplots()
    shown: dict[str, Fill] = {}
    for place, kinds in enumerate(rows.values()):
        for kind, fill in FILLS.items():
            if kinds.get(kind):
                shown[kind] = fill
                height = 0.3 if kind == WAITING else 0.7
                joined = joined_spans(kinds[kind], (end - begin) * FINEST)
                bars = [(start, stop - start) for start, stop in joined]
                axes.broken_barh(bars, (place - height / 2, height), **area(fill))
    names = [f"{name}\n{_where(result, name)}" for name in rows]
    axes.set_yticks(range(len(rows)), names, fontsize=SMALL)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_xlim(begin, end)
    axes.set_xlabel("time, ms", fontsize=SMALL + 1)
    axes.tick_params(axis="x", labelsize=SMALL)
    grid(axes, axis="x")
    if not shown:
        text = f"nothing happens from {begin:g} to {end:g} ms: another window shows more"
        axes.annotate(text, (0.5, 0.5), xycoords="axes fraction", ha="center", va="center")
    title = f"Who does what when: {result.scenario.name} on {result.chip.name}"
    axes.set_title(title, fontsize=SMALL + 2, loc="left")
    legend(figure, {kind: fill for kind, fill in FILLS.items() if kind in shown})
    return figure


def _where(result: ScenarioResult, name: str) -> str:
    tenant = result[name]
    return f"NPU {tenant.partition}" if tenant.partition else tenant.kind


def _parts(served: Served) -> Iterator[tuple[str, float, float]]:
    """Kind, start and end in ms, of all that a request does, and of its waiting in between."""
    timeline, before = served.timeline, served.job.arrived_us
    for work, slices in timeline.by_pass():
        for part in slices:
            if isinstance(part, Invocation) or part.end_us > part.start_us:
                start, stop = timeline.arrived_us + part.start_us, timeline.arrived_us + part.end_us
                if start - before > LEAST_US:
                    yield WAITING, before / 1e3, start / 1e3
                yield work.stage, start / 1e3, stop / 1e3
                before = stop
