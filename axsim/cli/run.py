"""``axsim run``: the main job."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from axsim.cli.options import ChipName, Settings

if TYPE_CHECKING:
    from axsim.runtime.results import RunResult

INTERRUPTED = 130
"""Exit status after Ctrl-C, as shells have it."""


def run(
    workload: Annotated[
        str, typer.Argument(metavar="WORKLOAD", help="A workload, by name or by file.")
    ],
    chip: ChipName,
    variant: Annotated[
        list[str],
        typer.Option(
            metavar="NAME",
            show_default=False,
            help="Run only this variant and show where its time goes; may be repeated.",
        ),
    ] = [],  # noqa: B006
    settings: Settings = [],  # noqa: B006
    seed: Annotated[
        Optional[int],  # noqa: UP045  (typer evaluates annotations on Python 3.10 as well)
        typer.Option(min=0, metavar="N", help="Seed of pixels, prompt, weights and sampling."),
    ] = None,
    checkpoint: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(metavar="DIR", help="Weights from a checkpoint in place of synthetic ones."),
    ] = None,
    timing_only: Annotated[
        bool, typer.Option("--timing-only", help="Leave the numeric kernels out: same timeline.")
    ] = False,
    json_path: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option("--json", metavar="FILE", help="Write the results as JSON; - is stdout."),
    ] = None,
    csv_path: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option("--csv", metavar="FILE", help="Write one row per variant; - is stdout."),
    ] = None,
    trace: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(metavar="FILE", help="Write a Chrome trace for Perfetto (.json or .json.gz)."),
    ] = None,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="No tables and no progress bar.")
    ] = False,
) -> None:
    """Simulate a workload on a chip: how fast, why, and how accurate.

    Shows each variant's vision encode time, TTFT, image to first token, decode speed, memory and
    similarity to float32, with the measured value where one is published, then where the time of
    the (first) variant goes.
    """
    from axsim.analysis.files import check_writable
    from axsim.cli.screen import Screen
    from axsim.descriptor import parse_overrides
    from axsim.runtime.run import run_kernels, time_run

    for path in (json_path, csv_path, trace):
        check_writable(path)
    to_stdout = [str(path) for path in (json_path, csv_path, trace) if str(path) == "-"]
    if len(to_stdout) > 1:
        raise typer.BadParameter("only one of --json, --csv and --trace can be -")
    screen = Screen(quiet=quiet or bool(to_stdout))
    interrupted = False
    try:
        result = time_run(
            workload,
            chip,
            variants=variant or None,
            overrides=parse_overrides(settings),
            seed=seed,
        )
    except KeyboardInterrupt:
        raise typer.Exit(INTERRUPTED) from None
    if timing_only:
        screen.timing(result)
    else:
        try:
            with screen.running(result) as shown:
                for reached in run_kernels(result, checkpoint, shown.progress):
                    result = reached
                    shown.update(reached)
        except KeyboardInterrupt:
            interrupted = True
    screen.details(result)
    _write(result, json_path, csv_path, trace)
    if interrupted:
        typer.echo("interrupted: the variants without cosine were not finished", err=True)
        raise typer.Exit(INTERRUPTED)


def _write(
    result: RunResult, json_path: Path | None, csv_path: Path | None, trace: Path | None
) -> None:
    from axsim.analysis.files import write_csv, write_json

    if json_path is not None:
        write_json(result.to_dict(), json_path)
    if csv_path is not None:
        write_csv(result.to_rows(), csv_path)
    if trace is not None:
        from axsim.analysis.trace import write_trace

        write_trace(result, trace)
