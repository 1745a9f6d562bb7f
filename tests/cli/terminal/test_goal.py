"""``axsim sweep --objective``, ``--optimizer`` and ``--plot`` from the outside."""

from __future__ import annotations

import csv
import shlex
from pathlib import Path

import pytest

from tests.cli.command import axsim
from tests.runs import tiny

TINY = ["sweep", "tiny.yaml", "--chip", "ax630c", "--timing-only", "-j", "1"]
VARY = ["--vary", "build.prefill_chunk=2,4,8", "--vary", "chip.cpu.clock_mhz=600,1200"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a workload of toy size."""
    tiny.write(tmp_path)
    return tmp_path


def test_the_best_is_shown_with_the_command_that_runs_it(folder) -> None:
    goal = ["--objective", "image_to_first_token_ms", "--constraint", "vision_dtype==u16"]
    found = axsim(*TINY, *VARY, *goal, "-o", "out.csv", folder=folder)
    rows = list(csv.DictReader((folder / "out.csv").read_text().splitlines()))
    assert len(rows) == 12
    best = min(
        (float(row["image_to_first_token_ms"]), row) for row in rows if row["variant"] == "u16"
    )
    title, command, blank, _, *table = found.stdout.splitlines()
    least, row = best
    keys = ", ".join(f"{key}={row[key]}" for key in ("build.prefill_chunk", "chip.cpu.clock_mhz"))
    goal_line = "least image_to_first_token_ms with vision_dtype == u16"
    assert title == f"{goal_line}: {least:.6g}, with {keys}, u16"
    assert blank == ""
    assert max(map(len, table)) <= 80
    assert table[-1] == "6 of 12 rows meet vision_dtype == u16"
    assert f"{best[0]:.6g}" in table[-7] or f"{best[0]:.6g}" in table[1]
    program, *arguments = shlex.split(command)
    assert program == "axsim"
    assert "--timing-only" in arguments
    axsim(*arguments, "-q", "--csv", "best.csv", folder=folder)
    (run,) = csv.DictReader((folder / "best.csv").read_text().splitlines())
    assert run["image_to_first_token_ms"] == best[1]["image_to_first_token_ms"]
    assert run["variant"] == "u16"


def test_the_table_goes_to_a_file_or_standard_output_only_when_asked(folder) -> None:
    goal = ["--objective", "ttft_ms"]
    found = axsim(*TINY, *goal, folder=folder)
    assert found.stdout.startswith("least ttft_ms: ")
    assert found.stdout.splitlines()[1].startswith("  axsim run tiny.yaml --chip ax630c")
    found = axsim(*TINY, *goal, "-o", "-", folder=folder)
    assert len(list(csv.DictReader(found.stdout.splitlines()))) == 2
    assert "least ttft_ms: " in found.stderr
    assert [path.name for path in folder.iterdir()] == ["tiny.yaml"]


def test_several_objectives_show_the_front(folder) -> None:
    found = axsim(*TINY, *VARY, "--objective", "ttft_ms", "--objective", "activations_bytes",
                  folder=folder)  # fmt: skip
    assert "the Pareto front: " in found.stdout.splitlines()[-1]
    assert found.stdout.startswith("least ttft_ms and least activations_bytes\n")


def test_nothing_meets_the_constraints(folder) -> None:
    goal = ["--objective", "ttft_ms", "--constraint", "ttft_ms<0", "--constraint", "images==1"]
    found = axsim(*TINY, *goal, "-o", "out.csv", folder=folder, code=1)
    rows = list(csv.DictReader((folder / "out.csv").read_text().splitlines()))
    least = min(float(row["ttft_ms"]) for row in rows)
    assert f"error: no row has ttft_ms < 0, images == 1: ttft_ms is {least:.6g} or more" in (
        found.stderr
    )
    assert not list(folder.glob("*.journal"))


def test_cosine_is_there_when_kernels_run_and_synthetic_weights_are_told(folder) -> None:
    kernels = [each for each in TINY if each != "--timing-only"]
    goal = ["--objective", "cosine", "--constraint", "cosine>=0.1", "--set", "request.new_tokens=1"]
    found = axsim(*kernels, *goal, folder=folder)
    assert found.stdout.startswith("most cosine with cosine >= 0.1: 0.99")
    assert "--variant u16" in found.stdout
    assert "synthetic weights" in found.stdout
    found = axsim(*kernels, *goal, "--constraint", "cosine>1.5", folder=folder, code=1)
    assert "cosine reaches 0." in found.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--objective", "tft_ms"], "did you mean 'ttft_ms'"),
        (["--objective", "cosine"], "needs the kernels, which --timing-only leaves out"),
        (["--objective", "ttft_ms", "--constraint", "cosin>=1"], "did you mean 'cosine'"),
        (["--objective", "ttft_ms", "--constraint", "ttft_ms~1"], "is no constraint"),
        (["--objective", "images"], "min:images or max:images"),
        (["--constraint", "ttft_ms<1"], "needs an objective"),
        (["--trials", "3"], "--optimizer"),
        (["--optimizer", "optuna"], "--objective"),
        (["--optimizer", "optima", "--objective", "ttft_ms"], "optuna"),
        (["--plot", "a.gif"], ".png, .svg, .pdf"),
        (["--plot", "no/a.png"], "no folder no"),
    ],
)
def test_mistakes_are_told_before_anything_is_computed(folder, arguments, message) -> None:
    found = axsim(*TINY, *arguments, "-o", "out.csv", folder=folder, code=2)
    assert message in found.output
    assert [path.name for path in folder.iterdir()] == ["tiny.yaml"]


def test_an_optimizer_repeats_itself_on_any_number_of_processes(folder) -> None:
    pytest.importorskip("optuna")
    space = ["--vary", "build.prefill_chunk=1..40:40", "--vary", "chip.cpu.clock_mhz=600..1500:10"]
    search = [*TINY, *space, "--objective", "ttft_ms", "--optimizer", "optuna", "--trials", "20"]
    first = axsim(*search, "-o", "a.csv", folder=folder)
    assert "40 rows in a.csv, 0 with an error" in first.stderr
    rows = list(csv.DictReader((folder / "a.csv").read_text().splitlines()))
    points = {(row["build.prefill_chunk"], row["chip.cpu.clock_mhz"]) for row in rows}
    assert len(points) == 20
    two = [*search[: search.index("-j")], "-j", "2", *search[search.index("-j") + 2 :]]
    axsim(*two, "-o", "b.csv", folder=folder)
    assert (folder / "b.csv").read_bytes() == (folder / "a.csv").read_bytes()
    axsim(*search, "--seed", "5", "-o", "c.csv", folder=folder)
    assert (folder / "c.csv").read_bytes() != (folder / "a.csv").read_bytes()


def test_pictures(folder) -> None:
    found = axsim(*TINY, *VARY, "--variant", "u8", "--plot", "map.svg", folder=folder)
    assert found.stdout == ""
    text = (folder / "map.svg").read_text()
    assert text.startswith("<?xml")
    grid = [*TINY, *VARY, "--chip", "ax650n", "-q", "-o", "o.csv"]
    axsim(*grid, "--plot", "trade.png", folder=folder)
    assert (folder / "trade.png").read_bytes().startswith(b"\x89PNG")
