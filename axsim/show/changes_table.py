"""Differences as tables."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from rich.table import Table

from axsim.study.changes import Change


def changes_table(
    changes: Iterable[Change], group: str, before: str, after: str, *, ratio: bool = True
) -> Table:
    """One line per change; ``group``, ``before`` and ``after`` head the columns."""
    table = Table(box=None, pad_edge=False)
    table.add_column(group, no_wrap=True)
    table.add_column("")
    for heading in (before, after, *(["change"] if ratio else [])):
        table.add_column(heading, justify="right")
    last = None
    for each in changes:
        cells = [_cell(each.before), _cell(each.after)]
        if ratio:
            cells.append("" if each.ratio is None else f"{each.ratio:+.2%}")
        table.add_row("" if each.where == last else each.where, each.name, *cells)
        last = each.where
    return table


def _cell(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:.6g}"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
