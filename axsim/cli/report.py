"""``axsim report``: a run as a page to read, send and print."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from axsim.cli.console import INTERRUPTED
from axsim.cli.options import (
    CalibrationFolder,
    CheckpointFolder,
    ChipName,
    Quiet,
    Settings,
    TimingOnly,
    Variants,
    WorkloadName,
)

if TYPE_CHECKING:
    from axsim.cli.screen import Screen
    from axsim.runs.results import RunResult


def report(
    workload: WorkloadName,
    chip: ChipName,
    output: Annotated[
        Path,
        typer.Option("--output", "-o", metavar="FILE.html", help="The page; - is stdout."),
    ] = Path("report.html"),
    variant: Variants = [],  # noqa: B006
    settings: Settings = [],  # noqa: B006
    seed: Annotated[
        Optional[int],  # noqa: UP045  (typer evaluates annotations on Python 3.10 as well)
        typer.Option(min=0, metavar="N", help="Seed of pixels, prompt, weights and sampling."),
    ] = None,
    checkpoint: CheckpointFolder = None,
    images: CalibrationFolder = None,
    timing_only: TimingOnly = False,
    quiet: Quiet = False,
) -> None:
    """Simulate a workload on a chip and write one self-contained HTML page about it.

    The answer and what limits it, every variant, where the time goes, a timeline to zoom into,
    memory, how well this chip is predicted, and every assumption with its source. The page loads
    nothing from anywhere.
    """
    from axsim.cli.screen import Screen
    from axsim.errors import InputError
    from axsim.files import check_writable
    from axsim.runs.run import time_run
    from axsim.show.report.content import gather
    from axsim.show.report.write import command_line, with_seed, write
    from axsim.spec.descriptor import parse_overrides

    check_writable(output)
    if images is not None and timing_only:
        raise InputError("--images calibrates the kernels, which --timing-only leaves out")
    overrides = parse_overrides(settings)
    screen = Screen(quiet=quiet or str(output) == "-")
    interrupted = False
    try:
        result = time_run(workload, chip, variants=variant or None, overrides=overrides, seed=seed)
        if timing_only:
            screen.timing(result)
        else:
            result, interrupted = _with_kernels(result, checkpoint, images, screen)
    except KeyboardInterrupt:
        raise typer.Exit(INTERRUPTED) from None
    keys = with_seed(overrides, seed)
    command = command_line(workload, chip, variant, keys, timing_only, checkpoint, images)
    write(gather(result, workload, chip, keys, command), output)
    if screen.shows:
        typer.echo(f"{output}: {output.stat().st_size / 1e6:.2f} MB")
    if interrupted:
        typer.echo("interrupted: the variants without cosine were not finished", err=True)
        raise typer.Exit(INTERRUPTED)


def _with_kernels(
    result: RunResult, checkpoint: Path | None, images: Path | None, screen: Screen
) -> tuple[RunResult, bool]:
    """The result with what the kernels computed, and whether Ctrl-C ended them early."""
    from axsim.runs.run import run_kernels

    try:
        with screen.running(result) as shown:
            for reached in run_kernels(result, checkpoint, shown.progress, images=images):
                result = reached
                shown.update(reached)
    except KeyboardInterrupt:
        return result, True
    return result, False
