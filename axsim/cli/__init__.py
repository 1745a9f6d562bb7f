"""The ``axsim`` command: one file per subcommand, nothing heavy imported before one is chosen.

To add a command, write ``axsim/cli/NAME.py`` with a function that typer can read, import what it
needs inside that function, and name a :class:`~axsim.cli.command.Command` there.
"""

from __future__ import annotations


def main() -> None:
    """Entry point of the ``axsim`` script. Exit status 2 when the user's input is wrong, 130 after
    Ctrl-C, 143 when it is told to end; either leaves no half a file."""
    import signal
    import sys

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        from axsim.cli.app import app

        app(prog_name="axsim")
    except KeyboardInterrupt:  # before there is a command that could tell
        sys.exit(130)
