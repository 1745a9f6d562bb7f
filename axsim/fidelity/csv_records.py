"""A CSV file of measurements as records, with every fault of its header told."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from axsim.errors import InputError, Problem
from axsim.spec.diagnosis import nearest


def records(
    path: Path, columns: Sequence[str], required: Sequence[str], kind: str
) -> Iterator[tuple[int, Mapping[str, str]]]:
    """The line where each record ends, and its fields by column. ``kind`` is what the file is
    called.

    Raises:
        InputError: no such file, no CSV, missing, unknown or repeated columns; of a record that has
            more or fewer fields than the header, when it is reached.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no UTF-8 text"
        raise InputError(Problem("", "", f"cannot read {kind} {path}: {reason}")) from None
    try:
        reader = csv.DictReader(io.StringIO(text, newline=""))
        _check(list(reader.fieldnames or []), path, columns, required)
        for record in reader:
            yield reader.line_num, record
    except csv.Error as error:
        raise InputError(Problem(str(path), "", f"is no CSV: {error}")) from None


def _check(header: list[str], path: Path, columns: Sequence[str], required: Sequence[str]) -> None:
    where, known = f"{path}:1", ", ".join(columns)
    faults = [
        Problem(where, name, "column is missing", known) for name in required if name not in header
    ]
    faults += [
        Problem(where, name, "unknown column", known, nearest(name, columns))
        for name in header
        if name not in columns
    ]
    faults += [
        Problem(where, name, "column is given twice") for name in columns if header.count(name) > 1
    ]
    if faults:
        raise InputError(faults)


def whole(record: Mapping[str, str], where: str) -> Mapping[str, str]:
    """The fields of a record without spaces around them.

    Raises:
        InputError: there are more or fewer of them than columns.
    """
    if None in record or any(value is None for value in record.values()):
        raise InputError(Problem(where, "", "the row has more or fewer fields than the header"))
    return {name: value.strip() for name, value in record.items()}
