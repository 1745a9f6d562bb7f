"""A simulated scenario as tables on the terminal, readable at 80 columns."""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil
from typing import TYPE_CHECKING

from rich.table import Table

from axsim.compiler.partition import MEBI
from axsim.fidelity.prediction import number
from axsim.runs.shared_results import ScenarioResult
from axsim.system.quantiles import SHOWN, Quantiles, enough

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
    rows: list[dict[str, str]] = []
    for each in result.models:
        record = each.record
        assert record is not None
        late = str(record.late) if each.deadline_ms is not None else ""
        slowdown = f"× {each.slowdown:.2f}" if each.slowdown is not None else ""
        rows.append(
            {
                "asked": str(record.requests),
                "answered": str(record.finished),
                "per s": rate(each.per_s),
                "queued": str(record.queued),
                "dropped": str(record.dropped),
                "late¹": late,
                "slowdown²": slowdown,
            }
        )
    table = _table("tenant", "model", left=2)
    shown = [heading for heading in rows[0] if any(row[heading] for row in rows)]
    for heading in shown:
        table.add_column(heading, justify="right", no_wrap=True)
    for each, row in zip(result.models, rows, strict=True):
        table.add_row(each.name, each.what, *(row[heading] for heading in shown))
    return table


def rate(per_s: float) -> str:
    """How often: :func:`number`, but two digits of what is rare."""
    return number(per_s) if per_s >= 0.1 else f"{per_s:.2g}"


def times_table(result: ScenarioResult) -> Table | None:
    """How long requests, first tokens and further tokens take; None when nothing was answered.
    Percentiles of too few are in the column ``max`` alone."""
    rows = [
        (each, name, label)
        for each in result.models
        for name, label in TIMES.items()
        if name in each.measures
    ]
    if not rows:
        return None
    table = _table("tenant", "ms", left=2)
    for heading in ("of", "mean", *(f"p{percent}" for percent in SHOWN), "max"):
        table.add_column(heading, justify="right", no_wrap=True)
    before = ""
    for each, name, label in rows:
        measure = each.measures[name]
        title = each.name if each.name != before else ""
        how_many = f"{measure.count}" if measure.count < 1e5 else f"{measure.count:.1e}"
        table.add_row(title, label, how_many, number(measure.mean), *_percentiles(measure))
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
    few = (m.count for t in result.models for name, m in t.measures.items() if name in TIMES)
    if not all(enough(count, max(SHOWN)) for count in few):
        yield f"{NEVER} of so few that it is the longest: p95 takes 20, p99 takes 100"
    yield "DRAM: the bandwidth that is taken, with what inefficient access patterns waste"
    yield f"⁴ in {result.outcome.usage.window_us / 1e6:.3g} s"
    if result.energy is not None:
        yield "⁵ with the idle chip for its own time, as `axsim run` has it; J are beyond that"


def energy_table(result: ScenarioResult) -> Table | None:
    """What tenants and the idle chip draw; None where the chip's file does not say what it does."""
    whole = result.energy
    if whole is None:
        return None
    table = _table("energy", left=1)
    for heading in ("J", "share", "mJ a request⁵", "an image⁵", "a token⁵"):
        table.add_column(heading, justify="right", no_wrap=True)

    def joules(name: str, value: float, *own: float | None) -> None:
        cells = ("" if each is None else number(each) for each in (*own, None, None, None)[:3])
        share = f"{value / whole.total_j:.1%}" if whole.total_j else ""
        table.add_row(name, number(value), share, *cells)

    for each in result:
        found = each.energy
        if found is None:
            table.add_row(each.name, "not known")
        else:
            joules(each.name, found.joules, found.request_mj, found.image_mj, found.token_mj)
    joules("idle chip", whole.idle_j)
    joules("in all", whole.total_j)
    return table


def energy_text(result: ScenarioResult) -> str:
    """Watts on average, and where they are from."""
    whole = result.energy
    assert whole is not None
    text = (
        f"energy: {number(whole.mean_w)} W on average over {whole.seconds:.4g} s, from the power "
    )
    text += f"block of {result.chip.name}: {whole.source or 'no source given'}"
    if whole.not_counted:
        text += f"; not counted: {', '.join(whole.not_counted)}, whose units nobody knows"
    return text


def _percentiles(measure: Quantiles) -> list[str]:
    told = (measure.percentile(p) if enough(measure.count, p) else None for p in SHOWN)
    return [*(NEVER if p is None else number(p) for p in told), number(measure.greatest)]


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
        if each.what in REPLICATED and (each.what != "deadline_misses" or each.tenant in found.due):
            title = each.tenant if each.tenant != before else ""
            told = rate if each.what == "per_s" else number
            values = each.mean, each.half_width, each.least, each.greatest
            table.add_row(title, REPLICATED[each.what], *map(told, values))
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
    "energy_j": "energy, J",
    "energy_per_request_mj": "mJ a request",
}
"""What of the columns of a run is shown of several, and how it is called there."""
