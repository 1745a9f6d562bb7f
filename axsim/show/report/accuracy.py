"""How well axsim predicts what was measured on this chip."""

from __future__ import annotations

from axsim.fidelity.predict import Compared
from axsim.fidelity.prediction import counted
from axsim.fidelity.validate import DISTINCT, Accuracy, Validation
from axsim.show.report.content import Report
from axsim.show.report.drawings import shown
from axsim.show.report.figures import percent, signed
from axsim.show.report.markup import Child, Column, Html, Row, element, join, note, table
from axsim.show.report.markup import section as section_of
from axsim.show.validation_table import conditions, value_text
from axsim.system.metrics import METRICS

NAMES = {
    **{metric.name: metric.title for metric in METRICS.values()},
    "all": "all rows",
    "measured on boards": "measured on boards",
}
"""The ledger's metrics as headings."""


def section(report: Report) -> Html:
    """Errors by metric, the picture, and every row with its source."""
    chip = report.chip_of_run.name
    validation = report.validation
    if validation is None:
        text = (
            f"The ledger has no measurements of {chip}: nothing says how far these predictions are "
            "from silicon. Its intervals are the widest of the measured chips, and no narrower "
            "than the errors of these with the calibrated values of others."
        )
        return section_of("validation", "Validation", element("p", text, class_="callout"))
    differs = None
    if report.differs:
        differs = element(
            "p",
            f"The chip of this report is not the {chip} that was measured: keys of it were changed "
            "(see the assumptions). What follows is about the chip as it is shipped.",
            class_="callout",
        )
    mape = validation.overall.mape
    rows = counted(len(validation.overall.errors), "published measurement")
    lead = (
        f"axsim predicts {rows} of {chip} with a mean absolute error (MAPE) of {percent(mape, 1)}."
    )
    caption = f"Predicted against measured values of {chip}, and the errors below"
    return section_of(
        "validation",
        f"Validation of {chip}",
        differs,
        element("p", lead),
        _summary(validation),
        _orderings(validation),
        shown(report.pictures, "validation", caption),
        element("h3", "Every measurement"),
        *(_rows(group) for group in validation.groups),
    )


def _summary(validation: Validation) -> Html:
    columns = [
        Column("metric"),
        Column("rows", number=True),
        Column("MAPE", number=True),
        Column("median", number=True),
        Column("worst", number=True),
        Column("row"),
    ]
    groups: list[tuple[Accuracy, str | None]] = [(group, None) for group in validation.groups]
    if 0 < len(validation.boards.rows) < len(validation.compared):
        groups.append((validation.boards, "total"))
    groups.append((validation.overall, "total"))
    return table("Errors by metric", columns, [_accuracy(*group) for group in groups])


def _accuracy(group: Accuracy, css: str | None) -> Row:
    worst = group.worst
    errors = group.errors
    total = len(group.rows)
    return Row(
        [
            NAMES[group.metric],
            str(total) if len(errors) == total else f"{len(errors)} of {total}",
            percent(group.mape, 1) if errors else "–",
            percent(group.median, 1) if errors else "–",
            "–" if worst is None else signed(worst.error or 0.0, 1),
            "" if worst is None else element("a", worst.row.id, href=f"#row-{worst.row.id}"),
        ],
        css=css,
    )


def _orderings(validation: Validation) -> Html | None:
    right, pairs = validation.orderings
    if not pairs:
        return None
    return note(
        f"{right} of {pairs} pairs of rows ({percent(right / pairs, 1)}) are predicted in the "
        f"right order: those of one metric that differ by more than {percent(DISTINCT)}."
    )


def _rows(group: Accuracy) -> Html:
    columns = [
        Column("row"),
        Column("model"),
        Column("conditions"),
        Column("measured", number=True),
        Column("predicted", number=True),
        Column("error", number=True),
        Column("source", wide=True),
    ]
    name = NAMES[group.metric]
    summary = f"{name}: {counted(len(group.rows), 'row')}, MAPE {percent(group.mape, 1)}"
    return element(
        "details", element("summary", summary), table(name, columns, map(_row, group.rows))
    )


def _row(each: Compared) -> Row:
    row = each.row
    source: list[Child] = [row.source]
    if row.note:
        source.append(element("small", row.note))
    if each.reason:
        source.append(element("small", f"not predicted: {each.reason}"))
    cells: list[Child] = [
        row.id,
        row.model,
        conditions(row),
        value_text(row.value),
        "–" if each.predicted is None else value_text(each.predicted),
        "–" if each.error is None else signed(each.error, 1),
        join(source),
    ]
    return Row(cells, id=f"row-{row.id}")
