"""A validation as tables on the terminal, 80 columns wide."""

from __future__ import annotations

from collections.abc import Iterable

from rich.table import Table

from axsim.fidelity.intervals import LEVEL
from axsim.fidelity.ledger import Measurement
from axsim.fidelity.predict import Compared
from axsim.fidelity.prediction import number
from axsim.fidelity.validate import DISTINCT, Accuracy, Validation


def rows_table(group: Accuracy) -> Table:
    """The rows of one metric and chip: conditions, measured, predicted, error."""
    table = _table()
    table.add_column("id", no_wrap=True)
    table.add_column("model", no_wrap=True)
    table.add_column("conditions", no_wrap=True)
    for heading in ("measured", "predicted", "error"):
        table.add_column(heading, justify="right", no_wrap=True)
    for each in group.rows:
        row = each.row
        predicted = "–" if each.predicted is None else value_text(each.predicted)
        error = "–" if each.error is None else f"{each.error:+.1%}"
        table.add_row(row.id, row.model, conditions(row), value_text(row.value), predicted, error)
    return table


def summary_table(validation: Validation) -> Table:
    """MAPE, median, 90th percentile, coverage of the intervals and worst row by metric and chip,
    then of all rows."""
    table = _table()
    for heading in ("metric", "chip"):
        table.add_column(heading, no_wrap=True)
    covered = ["covered¹"] if validation.judged else []
    for heading in ("rows", "MAPE", "median", "p90", *covered, "worst"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("row", no_wrap=True)
    sums = [validation.boards, validation.overall] if _mixed(validation) else [validation.overall]
    for group in (*validation.groups, *sums):
        worst = group.worst
        predicted = len(group.errors)
        total = len(group.rows)
        table.add_row(
            group.metric,
            group.chip,
            str(total) if predicted == total else f"{predicted}/{total}",
            *map(_percent, (group.mape, group.median, group.p90) if predicted else (None,) * 3),
            *(["–" if group.coverage is None else f"{group.coverage:.0%}"] if covered else []),
            "–" if worst is None else f"{worst.error:+.1%}",
            "" if worst is None else worst.row.id,
        )
    return table


def coverage_line() -> str:
    """What the column of coverages means."""
    return (
        f"¹ measured values inside the {LEVEL:.0%} interval of their prediction; where the chip\n"
        "  was fitted to the row, inside that of a fit without the row's architecture"
    )


def orderings_line(validation: Validation) -> str:
    """How many pairs of rows are predicted in the right order."""
    right, pairs = validation.orderings
    if not pairs:
        return "no two rows of the same metric and chip differ enough to have an order"
    return (
        f"orderings: {right} of {pairs} pairs right ({right / pairs:.1%})\n"
        f"(rows of the same metric and chip that differ by more than {DISTINCT:.0%})"
    )


FAILURES = 10
"""Reasons that are shown."""


def failure_lines(failures: Iterable[Compared]) -> list[str]:
    """Rows that have no prediction, with their line and the reason: one of each reason, the first
    :data:`FAILURES`, and how many more."""
    alike: dict[str, list[Measurement]] = {}
    for each in failures:
        alike.setdefault(each.reason, []).append(each.row)
    lines = []
    for reason, rows in alike.items():
        more = f" and {len(rows) - 1} rows like it" if len(rows) > 1 else ""
        lines.append(f"{rows[0].id} (line {rows[0].line}){more}: cannot be predicted: {reason}")
    if len(lines) > FAILURES:
        left = sum(map(len, alike.values())) - sum(map(len, list(alike.values())[:FAILURES]))
        lines[FAILURES:] = [f"… and {left} more rows cannot be predicted"]
    return lines


def conditions(row: Measurement) -> str:
    """What a row was measured under, in short: ``448 px u16 NPU3``, ``s8 128+2048 conv``."""
    if row.metric == "compiler_cycles":
        return row.npu_mode or ""
    if row.metric == "vision_encode_ms":
        size = f"{row.image_size} px" if row.image_size else None
        return " ".join(filter(None, (size, row.vision_dtype, row.npu_mode)))
    parts = [row.weight_dtype]
    if row.metric == "prefill_layer_ms":
        parts.append(f"{row.prefill_chunk or '?'}+{row.cached_tokens or 0}")
    elif row.metric == "ttft_ms":
        parts.append(f"{row.prompt_chunks or 1}×{row.prefill_chunk or '?'}")
    elif row.kv_cache_len:
        parts.append(f"KV {row.kv_cache_len}")
    parts += [row.npu_mode, "conv" if row.float_matmul_on_conv else None]
    return " ".join(filter(None, parts))


def _percent(fraction: float | None) -> str:
    return "–" if fraction is None else f"{fraction:.1%}"


def _mixed(validation: Validation) -> bool:
    return 0 < len(validation.boards.rows) < len(validation.compared)


def _table() -> Table:
    return Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), collapse_padding=True)


def value_text(value: float) -> str:
    """A measured or predicted value; large ones with thin spaces."""
    if value < 1e5:
        return number(value)
    return f"{value:,.0f}".replace(",", "\N{NARROW NO-BREAK SPACE}")
