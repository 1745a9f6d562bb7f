"""The command line inside this process."""

from __future__ import annotations

from typer.testing import CliRunner, Result

from axsim.cli.app import app


def axsim(*arguments: object, code: int = 0) -> Result:
    """The result of a command that must end with ``code``."""
    result = CliRunner().invoke(app, [str(each) for each in arguments])
    assert result.exit_code == code, result.output
    return result
