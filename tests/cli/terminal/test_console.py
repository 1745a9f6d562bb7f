"""What users' words look like where tables are printed."""

from __future__ import annotations

import pytest

from axsim.cli.terminal.console import console


def test_names_between_colons_and_in_brackets_stay_what_they_are(
    capsys: pytest.CaptureFixture[str],
) -> None:
    console().print("MatMul:a:Gemm [bold]")
    assert capsys.readouterr().out == "MatMul:a:Gemm [bold]\n"
