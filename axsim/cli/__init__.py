"""The ``axsim`` command: one file per subcommand, nothing heavy imported before one is chosen.

To add a command, write ``axsim/cli/NAME.py`` with a function that typer can read, import what it
needs inside that function, and name a :class:`~axsim.cli.command.Command` there.
"""

from __future__ import annotations


def main() -> None:
    """Entry point of the ``axsim`` script. Exit status 2 when the user's input is wrong, 130 after
    Ctrl-C; neither that nor SIGTERM leaves half a file."""
    import gc
    import signal
    import sys
    import warnings

    # Numbers beyond float32 are told of in words where they count, once and without a line of code.
    warnings.filterwarnings("ignore", category=RuntimeWarning, module="axsim")
    # Most of what a command makes lives until it ends: looking for cycles after every 700 objects
    # takes a tenth of a short one.
    gc.set_threshold(20_000, 20, 20)
    signal.signal(signal.SIGTERM, _terminated)
    try:
        from axsim.cli.app import app

        app(prog_name="axsim")
    except KeyboardInterrupt:  # before there is a command that could tell
        sys.exit(130)


def _terminated(signum: int, frame: object) -> None:
    """End as the signal says. An exception would be lost in whatever is running."""
    import os
    import signal
    import sys

    files = sys.modules.get("axsim.files")
    if files is not None:
        files.remove_unfinished()
    signal.signal(signum, signal.SIG_DFL)
    os.kill(os.getpid(), signum)
