"""The command line: inside this process, and in one of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from typer.testing import CliRunner, Result

from axsim.cli.app import app

HEARING = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
"""First line of a process that is sent Ctrl-C: what a shell runs in the background is born deaf to
it, and so are the processes of tests that run there."""

COMMAND = (sys.executable, "-c", f"{HEARING}from axsim.cli import main; main()")
"""``axsim`` as a process of its own."""


def axsim(*arguments: object, code: int = 0, folder: Path | None = None) -> Result:
    """The result of a command that is run in ``folder`` and must end with ``code``.

    An exception that nothing handles, which a person would see as a traceback, is raised.
    """
    before = Path.cwd()
    os.chdir(folder or before)
    try:
        result = CliRunner().invoke(
            app, [str(each) for each in arguments], prog_name="axsim", env={"COLUMNS": "80"}
        )
    finally:
        os.chdir(before)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == code, result.output
    return result


def process(
    *arguments: object, code: int = 0, folder: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """The same in a process of its own."""
    found = subprocess.run(
        [*COMMAND, *map(str, arguments)],
        cwd=folder,
        capture_output=True,
        text=True,
        env={**os.environ, "COLUMNS": "80"},
    )
    assert found.returncode == code, found.stdout + found.stderr
    assert "Traceback" not in found.stderr
    return found
