"""Where the time goes: pictures, and tables by stage, operator and DRAM traffic."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from axsim.fidelity.prediction import number
from axsim.runs.results import VariantResult
from axsim.show.report.content import Report
from axsim.show.report.drawings import shown
from axsim.show.report.figures import KINDS, panels, percent
from axsim.show.report.markup import Child, Column, Html, Row, element, join, note, table
from axsim.show.report.markup import section as section_of
from axsim.show.words import named
from axsim.system.breakdown import ENGINES, StageBreakdown


def section(report: Report) -> Html:
    """The picture of all variants, then each one's tables and roofline."""
    pictures = report.pictures
    caption = "Latency of each variant, by stage, with the interval of the prediction"
    parts = (
        [_tables(each), shown(pictures, f"roofline {each.name}", _ROOFLINE)]
        for each in report.result
    )
    first = shown(pictures, "latency", caption)
    return section_of("breakdown", "Breakdown", first, panels(report.result, parts))


_ROOFLINE = (
    "Roofline: the operations a second that each operator attains, against its operations per byte "
    "of DRAM traffic, under the ceilings of the chip"
)


def _tables(variant: VariantResult) -> Html:
    stages = variant.breakdown
    return join(
        element("h3", "By stage"),
        _stages(stages),
        note(
            "Waits for: shares of the critical path, as above. Busy: the share of the time in "
            "which CONV and TENG (on average over the units), the busiest SDMA queue, the DRAM "
            "interface and the CPU work, whether anything waits for them or not. MAC use: "
            "multiply-accumulates over what CONV could do on INT8 in that time."
        ),
        element("h3", "By operator, ms"),
        _parts("operator", stages, lambda each: each.by_operator, number, several=True),
        note(
            "Operators overlap. Each is charged for the time from the end of all before it to its "
            "own, with its transfers, whatever it waits for in that time."
        ),
        element("h3", "DRAM traffic by kind, MB"),
        _parts("kind", stages, lambda each: each.dram_bytes, lambda size: f"{size / 1e6:.2f}"),
    )


def _stages(stages: Iterable[StageBreakdown]) -> Html:
    columns = [
        Column("stage"),
        Column("ms", number=True),
        Column("waits for", wide=True),
        *(Column([named(name), element("small", "busy")], number=True) for name in ENGINES),
        Column(["MAC", element("small", "use")], number=True),
        Column(["DRAM", element("small", "MB")], number=True),
    ]
    rows = []
    for stage in stages:
        shares = [(name, ms / stage.ms) for name, ms in stage.by_engine.items()][:2]
        cells: list[Child] = [
            stage.name if stage.count == 1 else f"{stage.name} × {stage.count}",
            number(stage.ms),
            ", ".join(f"{named(name)} {percent(share)}" for name, share in shares),
            *(_busy(stage.busy[name]) for name in ENGINES),
            _busy(stage.mac_utilisation),
            f"{stage.total_dram_bytes / 1e6:.1f}",
        ]
        rows.append(Row(cells))
    return table("Time by stage", columns, rows)


def _busy(fraction: float) -> str:
    return percent(fraction) if fraction >= 0.0005 else "–"


def _named(part: str) -> Child:
    """A kind of task under the vendor's name and in words; an operator as it is called."""
    return [part, element("small", KINDS[part])] if part in KINDS else named(part)


def _parts(
    name: str,
    stages: Iterable[StageBreakdown],
    part: Callable[[StageBreakdown], Mapping[str, float]],
    text: Callable[[float], str],
    several: bool = False,
) -> Html:
    """A row for each part and a column for each stage, the largest sums first; with ``several``
    without the stages that have one part only."""
    chosen = [each for each in stages if len(part(each)) > several]
    totals: dict[str, float] = {}
    for stage in chosen:
        for key, value in part(stage).items():
            totals[key] = totals.get(key, 0.0) + value
    rows = []
    for key in sorted(totals, key=lambda each: -totals[each]):
        values = (part(stage).get(key) for stage in chosen)
        cells = ("–" if value is None else text(value) for value in values)
        rows.append(Row([_named(key), *cells]))
    columns = [Column(name), *(Column(stage.name, number=True) for stage in chosen)]
    return table(f"By {name} and stage", columns, rows)
