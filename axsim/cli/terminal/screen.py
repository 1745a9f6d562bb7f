"""What ``axsim run`` puts on the terminal, and when.

On a terminal the timing table appears at once, stands while a progress bar with the time left runs
below it, and its cosine columns fill as variants finish. In a pipe the timing table is printed at
once and the table with the numeric columns at the end.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from axsim.cli.terminal.console import console
from axsim.show.energy_table import energy_table, source_line
from axsim.show.tables import (
    breakdown_table,
    heading,
    memory_line,
    misfits,
    notes,
    operators_table,
    tokens_lines,
    traffic_table,
    turns_table,
    variants_table,
)
from axsim.show.text_table import MEANING, judged, text_table, text_title

if TYPE_CHECKING:
    from axsim.runs.progress import Progress
    from axsim.runs.results import RunResult


class Screen:
    """Tables of one run; with ``quiet`` it shows nothing."""

    def __init__(self, quiet: bool) -> None:
        self._quiet = quiet
        self.shows = not quiet
        self._console = console()

    def timing(self, result: RunResult) -> None:
        """The table of a run without kernels."""
        if not self._quiet:
            self._console.print(heading(result))
            self._console.print(variants_table(result))
            for line in misfits(result):
                self._console.print(line, style="bold")

    @contextmanager
    def running(self, result: RunResult) -> Iterator[_Running]:
        """Show the timing table, then progress until the block ends."""
        if self._quiet:
            yield _Running()
        elif self._console.is_terminal:
            live = _Live(self._console, result)
            with live.display:
                yield live
        else:
            self.timing(result)
            self._console.file.flush()
            plain = _Running(result)
            try:
                yield plain
            finally:
                if any(each.numerics for each in plain.result or ()):
                    assert plain.result is not None
                    self._console.print("\nwith the kernels:")
                    self._console.print(variants_table(plain.result))

    def details(self, result: RunResult) -> None:
        """Below the table: tokens, memory and where the time of the first variant goes."""
        if self._quiet:
            return
        out = self._console
        first = result[0]
        for note in notes(result):
            out.print(note, style="dim")
        scores = judged(result)
        if scores:
            out.print(f"\n{text_title(result)}")
            out.print(text_table(scores))
            for line in MEANING:
                out.print(line, style="dim")
        for variant in result:
            if variant.later:
                out.print(f"\nTurns of {variant.name}")
                out.print(turns_table(variant))
        energy = source_line(result)
        if energy is not None:
            out.print(f"\n{energy}")
            out.print(energy_table(result))
        lines = tokens_lines(result)
        if lines:
            out.print("\ntokens generated")
            for line in lines:
                out.print(f"  {line}")
        name = f" of {first.name}" if len(result) > 1 or first.settings else ""
        out.print(f"\nWhere the time{name} goes")
        out.print(breakdown_table(first))
        out.print()
        out.print(operators_table(first.breakdown))
        out.print()
        out.print(traffic_table(first.breakdown))
        out.print()
        out.print(memory_line(first))


class _Running:
    """Receives progress and results; the plain one keeps the last result."""

    def __init__(self, result: RunResult | None = None) -> None:
        self.result = result

    def progress(self, progress: Progress) -> None:
        """The kernels got further."""

    def update(self, result: RunResult) -> None:
        """A variant's numerics are there."""
        self.result = result


class _Live(_Running):
    """The table with a progress bar below it, redrawn a few times a second."""

    def __init__(self, out: Any, result: RunResult) -> None:
        from rich.live import Live
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        super().__init__(result)
        self._started = time.perf_counter()
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f} %"),
            TimeRemainingColumn(),
            TextColumn("left"),
            console=out,
        )
        self._task = self._bar.add_task("kernels", total=None)
        self._bar_shown = True
        self.display = Live(
            get_renderable=self._picture, console=out, refresh_per_second=4, transient=False
        )

    def progress(self, progress: Progress) -> None:
        """Move the bar."""
        self._bar.update(
            self._task,
            description=progress.label,
            completed=progress.done,
            total=progress.total,
        )

    def update(self, result: RunResult) -> None:
        """Redraw the table; the bar goes away with the last variant."""
        super().update(result)
        if result.complete:
            self._bar_shown = False

    def _picture(self) -> Any:
        from rich.console import Group

        assert self.result is not None
        parts: list[Any] = [heading(self.result), variants_table(self.result)]
        return Group(*parts, self._bar) if self._bar_shown else Group(*parts)
