"""How much of long work is done, and how much time is left, on a terminal; nothing in a pipe."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def points_bar(shows: bool) -> Iterator[Callable[[int, int], None]]:
    """For points of a sweep: told how many are finished, and of how many."""
    from rich.progress import MofNCompleteColumn, TextColumn

    with _bar(shows, MofNCompleteColumn(), TextColumn("points,")) as told:
        yield told


@contextmanager
def percent_bar(shows: bool) -> Iterator[Callable[[float], None]]:
    """For a simulation: told which part is over."""
    from rich.progress import TaskProgressColumn

    with _bar(shows, TaskProgressColumn()) as told:
        yield lambda part: told(part, 1)


@contextmanager
def _bar(shows: bool, *what: Any) -> Iterator[Callable[[float, float], None]]:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    err = Console(stderr=True)
    if not shows or not err.is_terminal:
        yield lambda done, total: None
        return
    times = TimeElapsedColumn(), TextColumn("so far,"), TimeRemainingColumn(), TextColumn("left")
    with Progress(BarColumn(), *what, *times, console=err, transient=True) as bar:
        task = bar.add_task("", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
