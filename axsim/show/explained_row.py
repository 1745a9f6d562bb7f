"""The explanation of a ledger row on the terminal, 80 columns wide."""

from __future__ import annotations

from collections.abc import Mapping

from rich.table import Table

from axsim.fidelity.intervals import LEVEL
from axsim.fidelity.row_explanation import RowExplanation
from axsim.show.validation_table import conditions, value_text
from axsim.show.words import named

LISTED = 10
"""Operator classes and numbers that are listed at most."""


def heading_lines(explanation: RowExplanation) -> list[str]:
    """What was measured, predicted, and how sure the prediction is."""
    compared, judged = explanation.compared, explanation.judged
    row = compared.row
    assert compared.predicted is not None
    assert compared.error is not None
    lines = [
        f"{row.id}  {row.metric} of {row.model} on {row.chip}",
        f"{conditions(row)}; {row.toolchain or 'toolchain not told'}",
        f"{row.source[:78]}",
        "",
        f"measured {value_text(row.value)}, predicted {value_text(compared.predicted)} "
        f"({compared.error:+.1%}); {LEVEL:.0%} interval ±{judged.interval.high:.0%}",
    ]
    if judged.left_out:
        inside = "inside" if judged.holds else "outside"
        lines.append(
            f"by a fit without its architecture {judged.error:+.1%}, {inside} the interval"
        )
    if judged.extrapolated:
        lines.append(f"extrapolated: {judged.extrapolated}")
    return lines


def time_table(explanation: RowExplanation) -> Table:
    """Where the predicted time goes: operator classes beside what is waited for."""
    table = _table("operators", explanation.unit, "share", "waits for", explanation.unit, "share")
    operators = _listed(explanation.operators, explanation.total)
    engines = _listed(explanation.engines, explanation.total)
    empty = ("", "", "")
    for index in range(max(len(operators), len(engines))):
        left = operators[index] if index < len(operators) else empty
        right = engines[index] if index < len(engines) else empty
        table.add_row(*left, *right)
    return table


def busy_line(explanation: RowExplanation) -> str:
    """The part of the time that each engine works."""
    parts = ", ".join(f"{named(name)} {share:.0%}" for name, share in explanation.busy.items())
    return f"busy: {parts}"


def elasticities_table(explanation: RowExplanation) -> Table:
    """How the time follows the numbers of the chip, most first."""
    table = _table("number of the chip", "value", "% of time for 1 %", "")
    for each in explanation.elasticities[:LISTED]:
        kind = "calibrated" if each.calibrated else ""
        table.add_row(each.key, f"{each.value:.4g}", f"{each.elasticity:+.2f}", kind)
    return table


def disagreeing_table(explanation: RowExplanation) -> Table:
    """The rows that the same numbers decide and that are wrong in the other direction."""
    table = _table("id", "metric", "model", "conditions", "time", "shared")
    for each in explanation.disagreeing:
        row = each.row
        model = row.model if len(row.model) <= 22 else row.model[:21] + "…"
        table.add_row(
            row.id,
            row.metric.removesuffix("_ms"),
            model,
            conditions(row),
            f"{each.time_error:+.1%}",
            f"{each.shared:.0%}",
        )
    return table


def _listed(parts: Mapping[str, float], total: float) -> list[tuple[str, str, str]]:
    rows = [
        (named(name), value_text(amount), f"{amount / total:.0%}")
        for name, amount in list(parts.items())[:LISTED]
    ]
    rest = sum(list(parts.values())[LISTED:])
    return [*rows, ("others", value_text(rest), f"{rest / total:.0%}")] if rest else rows


def _table(*headings: str) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), collapse_padding=True)
    words = {"operators", "waits for", "number of the chip", "", "id", "metric", "model"}
    for heading in headings:
        left = heading in words or heading == "conditions"
        table.add_column(heading, justify="left" if left else "right", no_wrap=True)
    return table
