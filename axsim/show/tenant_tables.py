"""A simulated scenario as tables on the terminal, readable at 80 columns."""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil
from typing import TYPE_CHECKING

from rich.table import Table

from axsim.compiler.partition import MEBI
from axsim.fidelity.prediction import number
from axsim.runs.shared_results import ScenarioResult
from axsim.system.quantiles import Quantiles

if TYPE_CHECKING:
    from axsim.study.replications import Replications

NEVER = "–"


def scenario_heading(result: ScenarioResult) -> str:
    """Scenario, chip, partitions, time and seed."""
    turns = ", by turns" if result.chip.by_turns(result.modes) else ""
    parts = ", ".join(f"{name} {mode}" for name, mode in result.modes.items())
    seconds = f"{result.duration_s:g} s, seed {result.seed}"
    return f"{result.scenario.name} on {result.chip.name} ({parts}{turns}): {seconds}"


def requests_table(result: ScenarioResult) -> Table:
    """What became of each model's requests."""
    table = _table("tenant", "model", left=2)
    for heading in ("asked", "answered", "per s", "queued", "dropped", "late¹", "slowdown²"):
        table.add_column(heading, justify="right", no_wrap=True)
    for each in result.models:
        record = each.record
        assert record is not None
        late = str(record.late) if each.deadline_ms is not None else ""
        counts = (str(record.requests), str(record.finished), number(each.per_s))
        slowdown = f"× {each.slowdown:.2f}" if each.slowdown is not None else ""
        lost = (str(record.queued), str(record.dropped), late)
        table.add_row(each.name, each.what, *counts, *lost, slowdown)
    return table


def times_table(result: ScenarioResult) -> Table | None:
    """How long requests, first tokens and further tokens take; None when nothing was answered."""
    rows = [
        (each, name, label)
        for each in result.models
        for name, label in TIMES.items()
        if name in each.measures
    ]
    if not rows:
        return None
    table = _table("tenant", "ms", left=2)
    for heading in ("mean", "p50", "p90", "p95", "p99", "max"):
        table.add_column(heading, justify="right", no_wrap=True)
    before = ""
    for each, name, label in rows:
        measure = each.measures[name]
        title = each.name if each.name != before else ""
        table.add_row(title, label, number(measure.mean), *_percentiles(measure))
        before = each.name
    return table


TIMES = {
    "latency_ms": "latency",
    "first_token_ms": "to first token",
    "ttft_ms": "TTFT³",
    "token_ms": "decode step",
    "chain_ms": "from the first request",
}
"""What the second table shows, and how it is called there."""


def busy_table(result: ScenarioResult) -> Table:
    """How busy the chip was, and with whom."""
    table = _table("", left=1)
    for name in ("on average", "at most⁴"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("by tenant", overflow="fold")
    for name, values in result.busy.items():
        mean = sum(values) / len(values)
        parts = sorted(result.busy_by_tenant(name).items(), key=lambda pair: -pair[1])
        shown = ", ".join(f"{who} {part:.0%}" for who, part in parts if part >= 0.005)
        table.add_row(BUSY.get(name, name.replace("npu ", "NPU ")), f"{mean:.0%}",
                      f"{max(values):.0%}", shown)  # fmt: skip
    return table


BUSY = {"cpu": "CPU", "dram": "DRAM"}


def costs_table(result: ScenarioResult) -> Table:
    """By how much each tenant makes the others' requests longer."""
    assert result.costs is not None
    names = [each.name for each in result.models]
    table = _table("because of", left=1)
    for name in names:
        table.add_column(name, justify="right", no_wrap=True)
    for each in result:
        cells = [result.costs.get((each.name, name)) for name in names]
        table.add_row(each.name, *(NEVER if cell is None else f"{cell:+.1%}" for cell in cells))
    return table


def memory_text(result: ScenarioResult) -> str:
    """What the tenants occupy."""
    sizes = {name: size for name, size in result.admitted.memory.items() if size}
    need = ceil(sum(sizes.values()) / MEBI)
    have = (result.chip.dram.npu_bytes or result.chip.dram.capacity_bytes) // MEBI
    parts = ", ".join(f"{name} {ceil(size / MEBI)}" for name, size in sizes.items())
    return f"memory: {need} of {have} MiB" + (f" ({parts})" if len(sizes) > 1 else "")


def scenario_notes(result: ScenarioResult) -> Iterator[str]:
    """What the marks in the headings mean."""
    if any(each.deadline_ms is not None for each in result.models):
        yield "¹ answered after their deadline"
    if any(each.slowdown is not None for each in result.models):
        yield "² mean latency, against being alone with the tenants that its requests come from"
    if any("ttft_ms" in each.measures for each in result.models):
        yield "to first token: from the arrival on, what a person waits"
        yield "³ the vendor's convention: all prefill chunks and the first post, no vision"
    yield "DRAM: the bandwidth that is taken, with what inefficient access patterns waste"
    yield f"⁴ in {result.outcome.usage.window_us / 1e6:.3g} s"


def _percentiles(measure: Quantiles) -> list[str]:
    return [*(number(measure.percentile(p)) for p in (50, 90, 95, 99)), number(measure.greatest)]


def _table(*names: str, left: int) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), collapse_padding=True)
    for name in names[:left]:
        table.add_column(name, no_wrap=True)
    return table


def replications_table(found: Replications) -> Table:
    """Means over seeds with their confidence intervals."""
    table = _table("tenant", "", left=2)
    for heading in ("mean", "±", "least", "most"):
        table.add_column(heading, justify="right", no_wrap=True)
    before = ""
    for each in found.estimates:
        if each.what in REPLICATED:
            title = each.tenant if each.tenant != before else ""
            table.add_row(
                title, REPLICATED[each.what], number(each.mean), number(each.half_width),
                number(each.least), number(each.greatest),
            )  # fmt: skip
            before = each.tenant
    return table


REPLICATED = {
    "per_s": "answered per s",
    "dropped": "dropped",
    "deadline_misses": "late",
    "latency_p50_ms": "latency p50, ms",
    "latency_p95_ms": "latency p95, ms",
    "latency_p99_ms": "latency p99, ms",
    "first_token_p95_ms": "first token p95, ms",
    "token_p95_ms": "decode step p95, ms",
}
"""What of the columns of a run is shown of several, and how it is called there."""
