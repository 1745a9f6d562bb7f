"""Lists of what axsim knows by name, as a table or as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple


class Column(NamedTuple):
    """A column of a list: its heading, the key of a row, and how a number is written."""

    heading: str
    key: str
    form: str = "{}"

    def text(self, row: Mapping[str, Any]) -> str:
        """The cell: items of a list with commas, of numbers with slashes."""
        value = row[self.key]
        if isinstance(value, list):
            texts = [each if isinstance(each, str) else f"{each:g}" for each in value]
            return (", " if all(isinstance(each, str) for each in value) else " / ").join(texts)
        return "" if value is None else self.form.format(value)


def show_listing(
    name: str,
    rows: Sequence[Mapping[str, Any]],
    columns: Iterable[Column],
    json_path: Path | None,
    note: str = "",
) -> None:
    """Print ``rows``, whose first column is never wrapped, or write ``{name: rows}`` as JSON."""
    from rich.table import Table

    from axsim.cli.terminal.console import console
    from axsim.files import write_json

    if json_path is not None:
        write_json({name: rows}, json_path)
        return
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), collapse_padding=True)
    chosen = list(columns)
    for index, column in enumerate(chosen):
        numbers = all(isinstance(row[column.key], int | float) for row in rows)
        side: Literal["left", "right"] = "right" if numbers else "left"
        table.add_column(column.heading, no_wrap=index == 0, justify=side)
    for row in rows:
        table.add_row(*(column.text(row) for column in chosen))
    screen = console()
    screen.print(table)
    if note:
        screen.print(f"\n{note}")
