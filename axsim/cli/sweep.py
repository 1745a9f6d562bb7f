"""``axsim sweep``: a grid of settings as a table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer

from axsim.cli.command import Command
from axsim.cli.options import (
    BoardNames,
    ChipNames,
    NetworkOptions,
    Settings,
    TimingOnly,
    Variants,
    WorkloadName,
    chip_names,
    tell_idle,
    tell_idle_keys,
    tell_ignored,
)
from axsim.cli.source_options import (
    CalibrateOnSeeded,
    CalibrationFolder,
    CheckpointFolder,
    Observer,
    ObserverName,
    TextFile,
    check_kernel_options,
    sources_of,
)
from axsim.cli.terminal.console import INTERRUPTED, say
from axsim.cli.terminal.goal import Optimizer

if TYPE_CHECKING:
    from axsim.spec.board import Board
    from axsim.spec.scenario import Scenario
    from axsim.spec.workload import Workload
    from axsim.study.grid import Point
    from axsim.study.point import Row

STDOUT = Path("-")
TRIALS = 100
"""Points that an optimizer tries when nothing else is said."""


def sweep(
    workload: WorkloadName,
    network: NetworkOptions,
    chip: ChipNames = [],  # noqa: B006
    board: BoardNames = [],  # noqa: B006
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
        Optional[Path],  # noqa: UP045  (typer evaluates annotations on Python 3.10 as well)
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            show_default=False,
            help="The table (.csv or .parquet); - is stdout, where it goes without --objective and "
            "--plot.",
        ),
    ] = None,
    objective: Annotated[
        list[str],
        typer.Option(
            metavar="[min:|max:]COLUMN",
            show_default=False,
            help="Show the best rows in this column of the table; of several objectives, the "
            "Pareto front. Milliseconds, bytes and perplexity are better small, "
            "tokens/s, cosine and top1_agreement large.",
        ),
    ] = [],  # noqa: B006
    constraint: Annotated[
        list[str],
        typer.Option(
            metavar="COLUMN>=VALUE",
            show_default=False,
            help="Only rows that meet this (>= <= == != > <) count; may be repeated. cosine is the "
            "vision output's similarity to float32, fits whether the model fits into memory.",
        ),
    ] = [],  # noqa: B006
    optimizer: Annotated[
        Optional[Optimizer],  # noqa: UP045
        typer.Option(
            help="Let optuna choose the points that come near the best, in place of all of them."
        ),
    ] = None,
    trials: Annotated[
        Optional[int],  # noqa: UP045
        typer.Option(min=1, metavar="N", help="Points that the optimizer tries; 100 by default."),
    ] = None,
    seed: Annotated[
        Optional[int],  # noqa: UP045
        typer.Option(
            min=0, metavar="N", help="Seed of the optimizer (of the request: --set request.seed=N)."
        ),
    ] = None,
    plot: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(
            metavar="FILE",
            help="Draw (.png, .svg, .pdf) a heat map of the first objective when two numeric keys "
            "vary, of one chip and variant; else the first two objectives, with their front; of a "
            "scenario how long requests take over the key that varies.",
        ),
    ] = None,
    checkpoint: CheckpointFolder = None,
    images: CalibrationFolder = None,
    calibrate_on: CalibrateOnSeeded = None,
    observer: Observer = ObserverName.minmax,
    text: TextFile = None,
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
    """Run every combination of chips and varied keys into a table.

    In parallel. A row has the chip, the varied keys, the predictions and conditions of one variant,
    and an error where a point could not be computed. A scenario runs on its own chip when none is
    named; its points have one row. Finished points are kept beside the output (in FILE.journal)
    until the whole table is written: after a crash or Ctrl-C, --resume goes on. With --objective,
    the best point and those behind it are shown; exit status 1 when no row meets the constraints.
    """
    from concurrent.futures import BrokenExecutor

    from axsim.cli.terminal.goal import check_search, draw, read_goal, show
    from axsim.cli.terminal.outputs import will_write
    from axsim.cli.terminal.run_plot import check_picture
    from axsim.cli.terminal.share import points_bar
    from axsim.fidelity.prediction import counted
    from axsim.spec.board import chip_at
    from axsim.spec.descriptor import parse_overrides, split_overrides
    from axsim.spec.kinds import load_either
    from axsim.spec.scenario import Scenario
    from axsim.spec.workload import load_workload
    from axsim.study.columns import columns_of
    from axsim.study.grid import space
    from axsim.study.point import check_point
    from axsim.study.sweep import compute, pool, table
    from axsim.study.values import parse_vary

    if output is None and not (objective or constraint or plot):
        output = STDOUT
    will_write(output, plot)
    check_picture(plot)
    _check_format(output)
    if jobs is not None and scheduler is not None:
        raise typer.BadParameter("--jobs is for this machine, --scheduler for another")
    if resume and output in (None, STDOUT):
        raise typer.BadParameter("--resume needs the --output whose journal it continues")
    check_kernel_options(timing_only, images, calibrate_on, observer, text)
    sources = sources_of(checkpoint, images, text, observer, calibrate_on)
    varied, overrides = parse_vary(vary), parse_overrides(settings) | network.keys
    subject = load_either(workload)
    places = _places(chip, board, subject)
    with network.told():
        where = space(
            subject,
            places,
            varied,
            settings=overrides,
            variants=variant or None,
            timing_only=timing_only,
            sources=sources,
        )
    columns = columns_of(subject, where)
    goal = read_goal(objective, constraint, columns, timing_only, checkpoint is not None)
    check_search(optimizer, trials, seed, goal)
    check_point(next(iter(where)))
    points = where.points() if optimizer is None else None
    try:
        with ExitStack() as stack:
            journal = stack.enter_context(_journal(output, points, resume))
            executor = stack.enter_context(pool(jobs, scheduler, len(where)))
            on_progress = stack.enter_context(points_bar(not quiet))
            if points is not None:
                found = compute(points, executor, journal, on_progress)
            else:
                from axsim.study.search import explore

                def run(batch: Sequence[Point]) -> list[list[Row]]:
                    return compute(batch, executor, journal)

                assert goal is not None  # check_search saw to it
                found = explore(where, goal, trials or TRIALS, seed or 0, run, on_progress)
            rows = table(found, list(varied))
            if not quiet and isinstance(subject, Scenario):
                tell_idle_keys(settings, subject, places, overrides, vary=varied)
            elif not quiet:
                _, own = split_overrides(overrides, "chip")
                tell_ignored(load_workload(workload, own))
                cases = [(workload, chip_at(place)) for place in places]
                tell_idle(settings, cases, overrides, vary=varied, variants=variant or None)
    except KeyboardInterrupt:
        hint = "" if output in (None, STDOUT) else "; --resume goes on from here"
        typer.echo(f"interrupted{hint}", err=True)
        raise typer.Exit(INTERRUPTED) from None
    except BrokenExecutor as error:
        hint = "" if output in (None, STDOUT) else "; --resume goes on from here"
        say(f"error: {error}{hint}", err=True)
        raise typer.Exit(1) from None
    if output is not None:
        _write(rows, output)
    if journal is not None:
        journal.remove()
    failed = sum(row["error"] is not None for row in rows)
    if not quiet:
        place = "" if output in (None, STDOUT) else f" in {output}"
        say(f"{counted(len(rows), 'row')}{place}, {failed} with an error", err=True)
    if failed == len(rows):
        say(f"error: no point could be computed: {rows[0]['error']}", err=True)
        raise typer.Exit(1)
    if plot is not None:
        draw(rows, varied, goal, list(map(chip_at, places)), plot)
    if goal is not None:
        options = [*(["--timing-only"] if timing_only else []), *sources.options]
        boards = [each.name for each in places if not isinstance(each, str)]
        show(
            rows,
            goal,
            workload,
            [*overrides, *varied],
            list(varied),
            options,
            boards,
            err=output == STDOUT,
        )


def _places(chips: list[str], boards: list[str], subject: Workload | Scenario) -> list[str | Board]:
    """Chips by name or file, and boards; a scenario's own chip without any.

    Raises:
        BadParameter: there is neither, or one is given twice.
    """
    from axsim.spec.board import load_board

    if not chips and not boards and (own := getattr(subject, "chip", None)):
        return [own]
    if not chips and not boards:
        raise typer.BadParameter("Missing option '--chip' (or '--board')")
    for option, names in (("--chip", chip_names(chips)), ("--board", chip_names(boards))):
        for name in names:
            if names.count(name) > 1:
                raise typer.BadParameter(f"{option}: {name!r} is given twice")
    return [*chip_names(chips), *map(load_board, chip_names(boards))]


@contextmanager
def _journal(output: Path | None, points: list[Point] | None, resume: bool) -> Iterator[Any]:
    """The output's journal; None without a file. Nothing that was finished is overwritten, neither
    of these points nor, when an optimizer chooses them, any."""
    from axsim.errors import InputError
    from axsim.study.journal import Journal

    if output is None or output == STDOUT:
        yield None
        return
    path = Journal.beside(output)
    with Journal(path) as journal:
        keys = journal.finished if points is None else {point.key for point in points}
        found = len(keys & journal.finished.keys())
        if found and not resume:
            what = f"{path} has {found} finished points of this sweep"
            raise InputError(f"{what}: go on with --resume, or delete it")
        yield journal


def _check_format(output: Path | None) -> None:
    from axsim.errors import InputError, Problem

    if output is None or output == STDOUT or output.suffix == ".csv":
        return
    if output.suffix != ".parquet":
        what = f"cannot tell the format of {output}"
        raise InputError(Problem("--output", "", what, "a name in .csv or .parquet"))
    try:
        import pyarrow  # noqa: F401
    except ImportError:
        what = "Parquet needs pyarrow: pip install 'axsim[parquet]'"
        raise InputError(Problem("--output", "", what)) from None


def _write(rows: list[dict[str, Any]], output: Path) -> None:
    from axsim.files import whole_file, write_csv
    from axsim.study.sweep import flat

    if output.suffix != ".parquet":
        write_csv(list(flat(rows)), output)
        return
    import pyarrow as pa
    import pyarrow.parquet as pq

    from axsim.study.sweep import columns

    with whole_file(output) as file:
        pq.write_table(pa.table(columns(rows)), file)


SWEEP = Command(
    "sweep",
    sweep,
    """
    axsim sweep internvl2_1b --chip ax650n,ax630c --vary build.prefill_chunk=64,128 --timing-only
    axsim sweep mine.yaml --chip ax630c --vary chip.dram.data_rate_mtps=2133..4267:5 -o out.csv
    axsim sweep internvl2_1b --chip ax630c --variant 448-u8 --timing-only --plot map.png \\
          --vary chip.dram.peak_gbps=4..34:16 --vary chip.npu.int8_tops=1..16:16
    axsim sweep mine.yaml --chip ax650n --timing-only --objective ttft_ms --optimizer optuna \\
          --vary build.prefill_chunk=32..512:31 --vary chip.dram.peak_gbps=16..64:25
    axsim sweep mine.yaml --chip ax650n --checkpoint DIR --vary build.weight_dtype=s8,s4 \\
          --objective decode_tokens_per_s --objective perplexity --plot tradeoff.png
    axsim sweep internvl2_1b --chip ax630c --objective ttft_ms --constraint 'cosine>=0.99'
    axsim sweep camera_answers --vary tenants.detector.arrivals.fps=5..30:6 --plot fps.png
    """,
    place=4,
)
