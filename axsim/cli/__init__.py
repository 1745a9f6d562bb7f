"""The ``axsim`` command: one file per subcommand, nothing heavy imported before one is chosen.

To add a command, write ``axsim/cli/NAME.py`` with a function that typer can read, import what it
needs inside that function, and name a :class:`~axsim.cli.command.Command` there.
"""

from __future__ import annotations


def main() -> None:
    """Entry point of the ``axsim`` script. Exit status 2 when the user's input is wrong."""
    from axsim.cli.app import app

    app(prog_name="axsim")
