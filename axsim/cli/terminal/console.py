"""Where tables are printed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

INTERRUPTED = 130
"""Exit status after Ctrl-C, as shells have it."""
PIPE_WIDTH = 80
"""Columns where the output is no terminal and COLUMNS says nothing."""


def say(text: str, err: bool = False) -> None:
    """A line with the user's words in it, without what would steer the terminal."""
    import typer

    from axsim.errors import printable

    typer.echo(printable(text), err=err)


def console(stderr: bool = False) -> Console:
    """A rich console on standard output (or error): as wide as COLUMNS or the terminal says."""
    import os

    from rich.console import Console

    from axsim.errors import printable

    class Screen(Console):
        """Shows escapes for what would steer the terminal."""

        def render_str(self, text: str, **options: Any) -> Text:
            return super().render_str(printable(text), **options)

    screen = Screen(highlight=False, markup=False, emoji=False, stderr=stderr)
    if screen.is_terminal or os.environ.get("COLUMNS", "").isdigit():
        return screen
    return Screen(highlight=False, markup=False, emoji=False, stderr=stderr, width=PIPE_WIDTH)
