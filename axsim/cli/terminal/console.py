"""Tables on the terminal, and whole in a pipe."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

INTERRUPTED = 130
"""Exit status after Ctrl-C, as shells have it."""
PIPE_WIDTH = 200
"""Columns assumed when the output is no terminal: nothing is cut for a reader that scrolls."""


def console(stderr: bool = False) -> Console:
    """A rich console on standard output (or error), as wide as the terminal."""
    from rich.console import Console

    screen = Console(highlight=False, markup=False, stderr=stderr)
    if screen.is_terminal:
        return screen
    return Console(highlight=False, markup=False, stderr=stderr, width=PIPE_WIDTH)
