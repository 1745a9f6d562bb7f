"""``axsim sweep``: a grid of settings as a table."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer

from axsim.cli.options import (
    CheckpointFolder,
    ChipNames,
    Settings,
    TimingOnly,
    Variants,
    WorkloadName,
    chip_names,
)
from axsim.cli.run import INTERRUPTED

if TYPE_CHECKING:
    from axsim.sweeps.grid import Point
    from axsim.sweeps.sweep import OnProgress


def sweep(
    workload: WorkloadName,
    chip: ChipNames,
    vary: Annotated[
        list[str],
        typer.Option(
            metavar="KEY=V1,V2,…",
            show_default=False,
            help="A workload's or chip's key and its values; LOW..HIGH:COUNT are evenly spaced "
            "numbers; may be repeated: all combinations are computed.",
        ),
    ] = [],  # noqa: B006
    variant: Variants = [],  # noqa: B006
    settings: Settings = [],  # noqa: B006
    output: Annotated[
        Path,
        typer.Option(
            "--output", "-o", metavar="FILE", help="The table (.csv or .parquet); - is stdout."
        ),
    ] = Path("-"),
    checkpoint: CheckpointFolder = None,
    timing_only: TimingOnly = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Compute only what an earlier run did not finish.")
    ] = False,
    jobs: Annotated[
        Optional[int],  # noqa: UP045
        typer.Option(
            "--jobs", "-j", min=1, metavar="N", help="Processes; one per core by default."
        ),
    ] = None,
    scheduler: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(metavar="ADDRESS", help="Compute on a dask cluster: tcp://host:8786."),
    ] = None,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="No progress bar and no closing line.")
    ] = False,
) -> None:
    """Run every combination of chips and varied keys, in parallel, into one table.

    A row has the chip, the varied keys, the predictions and conditions of one variant, and an error
    where a point could not be computed. Finished points are kept beside the output (in
    FILE.journal) until the whole table is written: after a crash or Ctrl-C, --resume goes on.
    """
    from concurrent.futures import BrokenExecutor

    from axsim.analysis.files import check_writable
    from axsim.descriptor import parse_overrides
    from axsim.sweeps.grid import grid, parse_vary
    from axsim.sweeps.sweep import compute, pool, table

    check_writable(output)
    _check_format(output)
    if jobs is not None and scheduler is not None:
        raise typer.BadParameter("--jobs is for this machine, --scheduler for another")
    if resume and str(output) == "-":
        raise typer.BadParameter("--resume needs the --output whose journal it continues")
    varied = parse_vary(vary)
    points = grid(
        workload,
        chip_names(chip),
        varied,
        settings=parse_overrides(settings),
        variants=variant or None,
        timing_only=timing_only,
        checkpoint=checkpoint,
    )
    try:
        with ExitStack() as stack:
            journal = stack.enter_context(_journal(output, points, resume))
            executor = stack.enter_context(pool(jobs, scheduler, len(points)))
            on_progress = stack.enter_context(_progress(quiet))
            rows = table(compute(points, executor, journal, on_progress), list(varied))
    except KeyboardInterrupt:
        hint = "" if str(output) == "-" else "; --resume goes on from here"
        typer.echo(f"interrupted{hint}", err=True)
        raise typer.Exit(INTERRUPTED) from None
    except BrokenExecutor as error:
        hint = "" if str(output) == "-" else "; --resume goes on from here"
        typer.echo(f"error: a worker died ({error}){hint}; --jobs takes less memory", err=True)
        raise typer.Exit(1) from None
    _write(rows, output)
    if journal is not None:
        journal.remove()
    failed = sum(row["error"] is not None for row in rows)
    if not quiet:
        where = "" if str(output) == "-" else f" in {output}"
        typer.echo(f"{len(rows)} rows{where}, {failed} with an error", err=True)
    if failed == len(rows):
        typer.echo(f"error: no point could be computed: {rows[0]['error']}", err=True)
        raise typer.Exit(1)


@contextmanager
def _journal(output: Path, points: list[Point], resume: bool) -> Iterator[Any]:
    """The output's journal; None for standard output. Nothing that was finished is overwritten."""
    from axsim.errors import InputError
    from axsim.sweeps.journal import Journal

    if str(output) == "-":
        yield None
        return
    path = Journal.beside(output)
    with Journal(path) as journal:
        found = len({point.key for point in points} & journal.finished.keys())
        if found and not resume:
            what = f"{path} has {found} finished points of this sweep"
            raise InputError(f"{what}: go on with --resume, or delete it")
        yield journal


def _check_format(output: Path) -> None:
    from axsim.errors import InputError, Problem

    if str(output) == "-" or output.suffix == ".csv":
        return
    if output.suffix != ".parquet":
        what = f"cannot tell the format of {output}"
        raise InputError(Problem("--output", "", what, "a name in .csv or .parquet"))
    try:
        import pandas  # noqa: F401
        import pyarrow  # noqa: F401
    except ImportError:
        what = "Parquet needs pandas and pyarrow: pip install 'axsim[table]'"
        raise InputError(Problem("--output", "", what)) from None


def _write(rows: list[dict[str, Any]], output: Path) -> None:
    from axsim.analysis.files import whole_file, write_csv
    from axsim.sweeps.sweep import flat

    if output.suffix != ".parquet":
        write_csv(list(flat(rows)), output)
        return
    import pyarrow as pa
    import pyarrow.parquet as pq

    from axsim.sweeps.sweep import columns

    with whole_file(output) as file:
        pq.write_table(pa.table(columns(rows)), file)


@contextmanager
def _progress(quiet: bool) -> Iterator[OnProgress]:
    """A bar with the time left, on a terminal."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    err = Console(stderr=True)
    if quiet or not err.is_terminal:
        yield lambda done, total: None
        return
    columns = (
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("points,"),
        TimeElapsedColumn(),
        TextColumn("so far,"),
        TimeRemainingColumn(),
        TextColumn("left"),
    )
    with Progress(*columns, console=err, transient=True) as bar:
        task = bar.add_task("", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
