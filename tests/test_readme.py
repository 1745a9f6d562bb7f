"""What README.md says that axsim prints is what it prints."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from axsim.cli.app import app

README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")

RUN = "run internvl2_1b --chip ax630c --timing-only"


@pytest.mark.parametrize(
    ("command", "first"), [(RUN, "InternVL2-1B on ax630c"), ("validate", "metric ")]
)
def test_tables_are_those_of_today(
    command: str, first: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    shown = README[README.index(f"```\n{first}") + 4 :].partition("```")[0]
    printed = CliRunner().invoke(app, command.split()).output
    printed = printed[printed.index(f"\n{first}") + 1 :] if first == "metric " else printed
    lines = zip(shown.splitlines(), printed.splitlines(), strict=False)
    for said, found in lines:
        assert said.rstrip() == found.rstrip()
