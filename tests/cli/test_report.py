"""``axsim report`` from the outside."""

from __future__ import annotations

import shlex
from functools import partial

import pytest

from axsim.show.report import content
from tests.cli.command import axsim, process
from tests.show.report.reading import Page

run = partial(axsim, "report")


@pytest.fixture
def without_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawing takes a second or two, so that most tests do without."""
    monkeypatch.setattr(content, "draw", lambda *_: {})


@pytest.mark.usefixtures("without_pictures")
def test_a_page_of_the_same_run_as_the_terminal_shows(tmp_path) -> None:
    out = run("siglip2_b16", "--chip", "ax630c", "--timing-only", folder=tmp_path).stdout
    found = Page((tmp_path / "report.html").read_text(encoding="utf-8"))
    assert "SigLIP2-B/16-224 on ax630c" in out
    assert "SigLIP2-B/16-224 on ax630c" in found.text
    name, value, *_ = next(line.split() for line in out.splitlines() if line.startswith("u16"))
    assert found.table("Variants").row(name)[1].split()[0] == value
    assert out.splitlines()[-1].startswith("report.html: ")
    assert [each.name for each in tmp_path.iterdir()] == ["report.html"]


@pytest.mark.usefixtures("without_pictures")
def test_the_command_on_the_page_makes_the_page_again(tmp_path) -> None:
    arguments = ["siglip2_b16", "--chip", "ax650n", "--timing-only", "--variant", "u16"]
    arguments += ["--set", "chip.cpu.clock_mhz=1000", "--seed", "4"]
    first = run(*arguments, "-o", "-", folder=tmp_path).stdout
    (command,) = (line for line in Page(first).text.split("Made by ")[1:])
    words = shlex.split(command.partition("axsim 0")[0])
    assert words[:3] == ["axsim", "report", "siglip2_b16"]
    assert run(*words[2:], "-o", "-", folder=tmp_path).stdout == first


def test_quiet_with_pictures(tmp_path) -> None:
    arguments = ["siglip2_b16", "--chip", "ax630c", "--timing-only", "-q", "--variant", "u8"]
    found = process("report", *arguments, folder=tmp_path)
    assert found.stdout == found.stderr == ""
    assert "<svg" in (tmp_path / "report.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["siglip2_b17", "--chip", "ax630c"], "did you mean 'siglip2_b16'?"),
        (["siglip2_b16", "--chip", "ax630c", "-o", "no/page.html"], "no folder no"),
        (["siglip2_b16", "--chip", "ax630c", "--variant", "u32"], "no variant 'u32'"),
        (["siglip2_b16", "--chip", "ax630c", "--timing-only", "--images", "."], "--timing-only"),
        (["siglip2_b16"], "--chip"),
    ],
)
def test_bad_input_writes_nothing(arguments: list[str], message: str, tmp_path) -> None:
    found = run(*arguments, folder=tmp_path, code=2)
    assert message in found.stderr
    assert not list(tmp_path.iterdir())
