"""The errors of rows that were left out: ``measurements/left_out.csv``.

``axsim calibrate --cross-validate`` makes them, which takes scipy and minutes; predictions read
them, so that their intervals say what happened on models and chips that nobody had fitted.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from axsim.errors import InputError, Problem
from axsim.fidelity.regime import Regime
from axsim.spec.descriptor import data_folder

if TYPE_CHECKING:
    from collections.abc import Mapping


DIGITS = 4
"""Decimals of a logarithm: a hundredth of a percent."""


@dataclass(frozen=True)
class LeftOut:
    """One row of the ledger. ``fitted``, ``left_out`` and ``other_chip`` are log(predicted /
    measured) by the calibrated chip, by a fit without the row's ``architecture``, and with the
    calibrated values of other chips (NaN where there are none); ``spread`` is the standard
    deviation of the first that the parameters' uncertainty makes. The rest is the row's regime."""

    id: str
    chip: str
    architecture: str
    group: str
    dtype: str
    float_matmul_on_conv: bool
    chunk: int
    tokens: int
    fitted: float
    left_out: float
    other_chip: float
    spread: float

    @property
    def regime(self) -> Regime:
        """What the row anchors."""
        return Regime(self.group, self.dtype, self.float_matmul_on_conv, self.chunk, self.tokens)


COLUMNS = tuple(field.name for field in fields(LeftOut))


def shipped_path() -> Path:
    """The file that comes with axsim."""
    return data_folder("measurements") / "left_out.csv"


@lru_cache(maxsize=1)
def shipped_left_out() -> tuple[LeftOut, ...]:
    """The rows that come with axsim."""
    return read(shipped_path())


def read(path: Path) -> tuple[LeftOut, ...]:
    """The rows of a file; none when there is no such file.

    Raises:
        InputError: it is a file of something else.
    """
    if not path.is_file():
        return ()
    with path.open(encoding="utf-8", newline="", errors="replace") as file:
        reader = csv.DictReader(file)
        if tuple(reader.fieldnames or ()) != COLUMNS:
            what = "is no file of rows left out"
            raise InputError(Problem(str(path), "", what, f"the columns {', '.join(COLUMNS)}"))
        return tuple(_row(record) for record in reader)


def _row(record: Mapping[str, str]) -> LeftOut:
    return LeftOut(
        record["id"],
        record["chip"],
        record["architecture"],
        record["group"],
        record["dtype"],
        record["float_matmul_on_conv"] == "True",
        int(record["chunk"]),
        int(record["tokens"]),
        *(float(record[name] or "nan") for name in ("fitted", "left_out", "other_chip", "spread")),
    )


def write(rows: Iterable[LeftOut], file: TextIO) -> None:
    """Write rows, with a header."""
    writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
    writer.writeheader()
    for row in rows:
        values = asdict(row)
        values["other_chip"] = "" if math.isnan(row.other_chip) else row.other_chip
        writer.writerow(values)


def replaced(old: Sequence[LeftOut], new: Sequence[LeftOut]) -> tuple[LeftOut, ...]:
    """``old`` with the rows of the chips that ``new`` has taken from there; chips by name. Rows of
    networks from files, which are fitted by themselves, count as a chip's others."""
    chips = {(row.chip, row.group == "graph") for row in new}
    kept = [row for row in old if (row.chip, row.group == "graph") not in chips]
    return tuple(sorted([*kept, *new], key=lambda row: row.chip))
