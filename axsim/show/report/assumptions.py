"""What the numbers rest on: conventions, calibrated parameters, and every key with its source."""

from __future__ import annotations

from axsim.fidelity.intervals import LEVEL
from axsim.fidelity.plausible import plausible
from axsim.show.energy_table import source_line
from axsim.show.extrapolated import MARK
from axsim.show.report.content import Assumption, Described, Report
from axsim.show.report.figures import plain
from axsim.show.report.markup import Child, Column, Html, Row, element, join, note, table
from axsim.show.report.markup import section as section_of
from axsim.show.tables import assumed
from axsim.spec.chip import Chip

NOTE = "calibrated: "
"""How the note of ``axsim calibrate`` begins, in a chip's file."""


def section(report: Report) -> Html:
    """Conventions in words, then tables."""
    chip, workload = report.chip, report.workload
    return section_of(
        "assumptions",
        "Assumptions",
        element("ul", *(element("li", text) for text in _conventions(report)), class_="words"),
        element("h3", "Calibrated parameters"),
        _calibrated(report),
        whole(f"Chip {chip.name}: every key, its meaning and its source", chip),
        whole(f"Workload {workload.name}: every key, its meaning and its source", workload),
        _variants(report),
    )


def _conventions(report: Report) -> list[Child]:
    result = report.result
    variants = list(result)
    found: list[Child] = []
    if any(each.ttft_ms for each in variants):
        counts = "TTFT is counted as the vendor counts it: all prefill chunks and the first post"
        if any(each.vision_encode_ms for each in variants):
            counts += ", without image preparation and vision encoder"
            counts += ". Image to first token adds both"
        found.append(f"{counts}.")
        found.append(
            "All layers of a decoder take the same time; each token of decode reads the compiled "
            "length of the KV cache, so that every token takes the same time."
        )
    found.append(
        f"Intervals are meant to hold {LEVEL:.0%} of measured values. Their width comes from the "
        "errors of the ledger's rows when the fit had not seen their architecture; a prediction "
        f"that no row is near enough to vouch for is extrapolated ({MARK}): an error as large as "
        "that of the chip's widest group is added to that of its own. None is a guarantee for a "
        "model unlike those that were measured."
    )
    energy = source_line(result)
    if energy is not None:
        found.append(
            f"{energy}. Idle watts for as long as it takes, watts of units while they work, and "
            "the energy of DRAM bytes and multiply-accumulates. No watts of these chips have been "
            "published, so that no interval is known."
        )
    found.append(
        "Nothing else uses the NPU or the DRAM while the model runs, and the NPU keeps its "
        "calibrated clock."
    )
    found += (f"{line[0].upper()}{line[1:]}." for line in assumed(result))
    if result.timing_only:
        found.append("The numeric kernels were left out (timing only); the timeline is the same.")
    elif report.synthetic:
        found.append(
            "Weights are synthetic: seeded random numbers. Times do not depend on them; "
            "similarities and tokens do."
        )
    return found


def _calibrated(report: Report) -> Html:
    chip = report.chip_of_run
    columns = [
        Column("parameter"),
        Column("value", number=True),
        Column("standard error", number=True),
        Column("plausible range"),
        Column("meaning", wide=True),
        Column("why that range, and where the value is from", wide=True),
    ]
    lines = [each for each in report.chip.lines if len(each.path) == 2]
    rows = [_parameter(chip, each) for each in lines if each.path[0] == "calibrated"]
    return join(
        note(
            "The few numbers that axsim calibrate fits to the ledger's rows; none belongs to a "
            "model. The standard error says how well the rows determine a value: “open” that they "
            "do not, “at bound” that the fit stopped at the end of the plausible range."
        ),
        table("Calibrated parameters", columns, [row for row in rows if row is not None]),
    )


def _parameter(chip: Chip, each: Assumption) -> Row | None:
    name = each.path[-1]
    value = getattr(chip.calibrated, name)
    if value is None:
        return None
    bounds = plausible(chip, name)
    source, error = each.source, "–"
    if source.startswith(NOTE):
        error, _, source = source.removeprefix(NOTE).partition("; ")
    if name in chip.borrowed:
        source = f"borrowed from {chip.borrowed[name]}"
    if name in chip.fixed:
        source = f"fixed: {chip.fixed[name]}"
    share = min(1.0, max(0.0, (value - bounds.low) / (bounds.high - bounds.low)))
    dot = element("i", style=f"left:{100 * share:.1f}%")
    span = [
        f"{plain(bounds.low)} – {plain(bounds.high)}",
        element("div", dot, class_="span", aria_hidden="true"),
    ]
    why: list[Child] = [bounds.why]
    if source:
        why.append(element("small", source))
    return Row([element("code", name), plain(value), error, span, each.meaning, why])


def whole(summary: str, described: Described) -> Html:
    """A descriptor key by key, folded away under a summary."""
    columns = [
        Column("key"),
        Column("value", value=True),
        Column("meaning", wide=True),
        Column("source", wide=True),
    ]
    comment = element("p", described.comment, class_="note") if described.comment else None
    return element(
        "details",
        element("summary", summary),
        comment,
        table(summary, columns, map(_line, described.lines)),
    )


def _line(each: Assumption) -> Row:
    depth = len(each.path) - 1
    key = element("code", each.path[-1], style=f"padding-left:{depth}em" if depth else None)
    source = "set by the variants" if each.variants and not each.heading else each.source
    css = "group" if each.heading else "changed" if source.startswith("--set") else None
    return Row([key, " / ".join(each.values), each.meaning, source], css=css)


def _variants(report: Report) -> Html | None:
    own = {each.name: each.settings for each in report.result if each.settings}
    keys = list(dict.fromkeys(key for settings in own.values() for key in settings))
    if not keys:
        return None
    rows = [
        Row([name, *(str(settings.get(key, "–")) for key in keys)])
        for name, settings in own.items()
    ]
    columns = [Column("variant"), *(Column(element("code", key)) for key in keys)]
    return join(element("h3", "Keys of the variants"), table("Keys of the variants", columns, rows))
