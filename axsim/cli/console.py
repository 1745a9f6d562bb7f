"""Tables on the terminal, and whole in a pipe."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

PIPE_WIDTH = 200
"""Columns assumed when the output is no terminal: nothing is cut for a reader that scrolls."""


def console() -> Console:
    """A rich console on standard output, as wide as the terminal."""
    from rich.console import Console

    screen = Console(highlight=False, markup=False)
    return (
        screen if screen.is_terminal else Console(highlight=False, markup=False, width=PIPE_WIDTH)
    )
