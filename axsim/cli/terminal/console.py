"""Where tables are printed."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

INTERRUPTED = 130
"""Exit status after Ctrl-C, as shells have it."""
PIPE_WIDTH = 80
"""Columns where the output is no terminal and COLUMNS says nothing."""


def console(stderr: bool = False) -> Console:
    """A rich console on standard output (or error): as wide as COLUMNS or the terminal says."""
    import os

    from rich.console import Console

    screen = Console(highlight=False, markup=False, stderr=stderr)
    if screen.is_terminal or os.environ.get("COLUMNS", "").isdigit():
        return screen
    return Console(highlight=False, markup=False, stderr=stderr, width=PIPE_WIDTH)
