"""``axsim sweep --objective``: what the table is searched for, and what is shown of it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from axsim.cli.terminal.console import say

if TYPE_CHECKING:
    from axsim.spec.chip import Chip
    from axsim.study.objective import Goal


class Optimizer(str, Enum):
    """What proposes points in place of computing all."""

    optuna = "optuna"


def read_goal(
    objectives: list[str],
    constraints: list[str],
    columns: Collection[str],
    timing_only: bool,
    trained: bool,
) -> Goal | None:
    """The goal that the options give, if any.

    Raises:
        InputError: an option is wrong, or the table will not have such a column.
    """
    if not objectives and not constraints:
        return None
    from axsim.study.objective import Goal
    from axsim.study.pareto import unknown_column
    from axsim.system.metrics import METRICS

    for name in (text.strip() for text in objectives):
        if ":" not in name and name not in columns and name not in METRICS:
            raise unknown_column(name, list(columns))
    goal = Goal.parse(objectives, constraints)
    goal.check(columns, timing_only, trained)
    return goal


def check_search(
    optimizer: Optimizer | None, trials: int | None, seed: int | None, goal: Goal | None
) -> None:
    """Options of a search without the search, or the other way round."""
    if optimizer is None:
        if trials is not None or seed is not None:
            raise typer.BadParameter("--trials and --seed are for --optimizer")
        return
    if goal is None:
        raise typer.BadParameter("--optimizer needs an --objective")
    from axsim.study.search import check_optimizer

    check_optimizer()


def draw(
    rows: list[dict[str, Any]],
    vary: Mapping[str, Sequence[Any]],
    goal: Goal | None,
    chips: Sequence[Chip],
    path: Path,
) -> None:
    """The picture of a sweep; a map over two of a chip's keys has the chips marked.

    Raises:
        InputError: nothing can be drawn, or the file cannot be written.
    """
    import pandas as pd

    from axsim.show import plots

    frame = pd.DataFrame(rows, columns=list(rows[0]))
    several = [key for key, values in vary.items() if len(values) > 1]
    marks = plots.chip_marks(list(chips), *several) if len(several) == 2 else None
    plots.save(plots.sweep_picture(frame, vary, goal, marks), path)


def show(
    rows: list[dict[str, Any]],
    goal: Goal,
    workload: str,
    keys: Sequence[str],
    varied: Sequence[str],
    options: Sequence[str],
    boards: Sequence[str],
    err: bool,
) -> None:
    """The best row as a command that runs it, and the rows that lead.

    Exit status 1 when no row meets the constraints.
    """
    from axsim.cli.terminal.console import console
    from axsim.show.leaders import leaders_table, run_command, summary
    from axsim.study.answer import in_words
    from axsim.study.objective import OF_TEXT

    leaders = goal.leaders(rows)
    if not leaders:
        say(f"error: {in_words(rows, goal, varied)}", err=True)
        raise typer.Exit(1)
    out = console(stderr=err)
    out.print(in_words(rows, goal, varied), soft_wrap=True)
    out.print(f"  {run_command(leaders[0], workload, keys, options, boards)}", soft_wrap=True)
    out.print()
    out.print(leaders_table(leaders, goal, varied))
    out.print(summary(leaders, rows, goal))
    if any(name.endswith("cosine") for name in goal.columns) and leaders[0].get("synthetic"):
        out.print("cosine on synthetic weights: it shows what the arithmetic loses, not a trained")
        out.print("model's accuracy")
    if any(name.endswith(OF_TEXT) for name in goal.columns):
        out.print(f"judged on {leaders[0].get('judged_tokens')} tokens of text")
