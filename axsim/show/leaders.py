"""The rows of a sweep that lead, on the terminal."""

from __future__ import annotations

import json
import shlex
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from rich.table import Table

from axsim.fidelity.prediction import counted
from axsim.spec.descriptor import split_overrides
from axsim.spec.located import scalar
from axsim.spec.workload import load_workload
from axsim.study.answer import MOST, text
from axsim.study.objective import Goal, Row

KEY, VALUE = 16, 14
"""Widths at most of columns that name a row, and of those with its values."""


def leaders_table(leaders: Sequence[Row], goal: Goal, varied: Sequence[str]) -> Table:
    """Chip, variant, varied keys, and the columns of the goal, of the first rows."""
    table = Table(box=None, pad_edge=False)
    shown = leaders[:MOST]
    names = ["chip", "variant", *varied]
    names = [name for name in names if len({text(row.get(name)) for row in leaders}) > 1] or names
    values = [name for name in goal.columns if name not in names]
    for name in names:
        table.add_column(name.rpartition(".")[2].replace("_", " "), max_width=KEY)
    for name in values:
        heading = name.replace(".", " ").replace("_", " ")
        table.add_column(heading, justify="right", max_width=VALUE)
    columns = [*names, *values]
    for row in shown:
        table.add_row(*(text(row.get(name)) for name in columns))
    return table


def summary(leaders: Sequence[Row], rows: Sequence[Row], goal: Goal) -> str:
    """One line about what the table shows."""
    if len(goal.objectives) > 1:
        front = f"the Pareto front: {len(leaders)} of {counted(len(rows), 'row')}"
        return front if len(leaders) <= MOST else f"{front}, the first {MOST}"
    line = f"{len(leaders)} of {counted(len(rows), 'row')}"
    if goal.constraints:
        line += f" {'meets' if len(leaders) == 1 else 'meet'} "
        line += ", ".join(map(str, goal.constraints))
    return line if len(leaders) <= MOST else f"{line}; the best {MOST}"


def run_command(
    row: Row,
    workload: str,
    keys: Sequence[str],
    options: Sequence[str] = (),
    boards: Collection[str] = (),
) -> str:
    """The command that shows a row in full: ``keys`` are those that were set or varied, ``boards``
    the chips of rows that are boards."""
    place = str(row["chip"])
    settings = {key: row[key] for key in keys}
    on = ["--board" if place in boards else "--chip", place]
    if "scenario" in row:
        words = ["axsim", "simulate", workload, *on]
    else:
        words = ["axsim", "run", workload, *on]
        variant = _variant(workload, settings, str(row["variant"]))
        words += [] if variant is None else ["--variant", variant]
    for key, value in settings.items():
        words += ["--set", f"{key}={_scalar(value)}"]
    return shlex.join([*words, *options])


def _variant(workload: str, settings: Mapping[str, object], name: str) -> str | None:
    """The variant in the workload's file that a row belongs to: settings may have renamed it."""
    _, keys = split_overrides(settings, "chip")
    declared = load_workload(workload).variant_names
    if name in declared:
        return name
    wanted = load_workload(workload, keys).expand().get(name)
    same = (each for each in declared if load_workload(workload, keys, each) == wanted)
    return next(same, None)


def _scalar(value: Any) -> str:
    """As ``--set`` reads it."""
    plain = isinstance(value, str) and scalar(value) == value
    return str(value) if plain else json.dumps(value, ensure_ascii=False)
