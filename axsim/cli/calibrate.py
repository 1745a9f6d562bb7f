"""``axsim calibrate``: fit a chip to measurements."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from axsim.cli.command import Command
from axsim.cli.options import JsonPath, Quiet
from axsim.cli.terminal.outputs import will_write, written_as

if TYPE_CHECKING:
    from collections.abc import Mapping
    from concurrent.futures import Executor

    from axsim.fidelity.calibrate import Calibration, OnProgress
    from axsim.models.config import ModelConfig

MOST_WORKERS = 4
"""Processes beyond this many would mostly import and wait: a dozen derivatives are shared out."""


def calibrate(
    chip: Annotated[str, typer.Argument(metavar="CHIP", help="A chip, by name or by file.")],
    ledger: Annotated[
        Optional[Path],  # noqa: UP045  (typer evaluates annotations on Python 3.10 as well)
        typer.Option(metavar="FILE.csv", help="Measurements; the shipped ones by default."),
    ] = None,
    models: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(metavar="FILE.yaml", help="Architectures beside the shipped ones."),
    ] = None,
    output: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(
            "--output",
            "-o",
            metavar="FILE.yaml",
            callback=written_as(".yaml", ".yml"),
            help="Write the chip's file with the fitted values; - is stdout.",
        ),
    ] = None,
    keep: Annotated[
        list[str],
        typer.Option(
            metavar="NAME",
            show_default=False,
            help="Leave this calibrated (or power) parameter as it is; may be repeated.",
        ),
    ] = [],  # noqa: B006
    cross_validate: Annotated[
        bool,
        typer.Option(
            "--cross-validate",
            help="Also predict every architecture, source and chip from a fit without it.",
        ),
    ] = False,
    left_out: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(
            metavar="FILE.csv",
            callback=written_as(".csv"),
            help="With --cross-validate: replace this chip's rows among the errors of rows left "
            "out, which intervals come from.",
        ),
    ] = None,
    power: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(
            metavar="FILE.csv",
            help="Fit the chip's power block to a meter's readings instead: columns id, workload, "
            "variant, set (KEY=VALUE; …), run (idle, request or a stage, repeated while the meter "
            "is read), watts, note.",
        ),
    ] = None,
    json_path: JsonPath = None,
    quiet: Quiet = False,
) -> None:
    """Fit a chip's calibrated numbers to the rows of a ledger.

    By generalised least squares. Rows of one architecture or source have errors in common and count
    accordingly. Reports each parameter with its standard error, its plausible range and the rows
    that determine it, and says which ones the rows leave open. Only the calibrated values of the
    chip's file are replaced. The same rows give the same values, whatever the chip had before.

    With --power, the chip's power block (idle watts, watts of busy units, energy of a DRAM byte and
    of a multiply-accumulate) is fitted to readings of a meter, no part of it below zero.
    """
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # matrices of a hundred rows: threads wait
    from axsim.cli.terminal.power import fit_and_write
    from axsim.errors import InputError, Problem
    from axsim.fidelity.calibrate import calibrate as fit
    from axsim.fidelity.ledger import load_ledger, shipped_ledger
    from axsim.fidelity.left_out import read as read_left_out
    from axsim.fidelity.predict import shipped_chips
    from axsim.fidelity.validate import architectures
    from axsim.files import whole_text, write_json
    from axsim.spec.chip import load_chip
    from axsim.spec.descriptor import find

    will_write(output, json_path, left_out)
    if left_out is not None and not cross_validate:
        raise typer.BadParameter("--left-out needs --cross-validate")
    if left_out is not None:
        read_left_out(left_out)  # a file of something else is not to be replaced
    if str(output) == str(json_path) == "-":
        raise typer.BadParameter("only one of --output and --json can be -")
    quiet = quiet or "-" in (str(output), str(json_path))
    source = find("chip", chip)
    if power is not None:
        if ledger or models or cross_validate:
            what = "--power fits to readings alone: no --ledger, --models or --cross-validate"
            raise typer.BadParameter(what)
        fit_and_write(source, power, keep, output, json_path, quiet)
        return
    given = load_chip(source)
    if given.like is not None:
        what = f"{given.name} has its calibrated values from {given.like}"
        raise InputError(Problem("", "", what, f"axsim calibrate {given.like}"))
    rows = load_ledger(ledger or shipped_ledger())
    known = architectures(models)
    with processes() as executor, _progress(quiet) as on_progress:
        found = fit(
            given,
            rows,
            known,
            keep=keep,
            others=list(shipped_chips().values()),
            cross_validation=cross_validate,
            executor=executor,
            on_progress=on_progress,
        )
    if not quiet:
        _show(found)
    if output is not None:
        text = written(found, source)
        with whole_text(output) as file:
            file.write(text)
    if left_out is not None:
        _write_left_out(found, known, left_out)
    if json_path is not None:
        write_json(found.to_dict(), json_path)


def _write_left_out(
    calibration: Calibration, models: Mapping[str, ModelConfig], path: Path
) -> None:
    from axsim.fidelity.cross_validation import left_out_rows
    from axsim.fidelity.left_out import read, replaced, write
    from axsim.files import whole_text

    assert calibration.left_out is not None
    rows = left_out_rows(calibration.chip, calibration.left_out, models)
    text = io.StringIO()
    write(replaced(read(path), rows), text)
    with whole_text(path) as file:
        file.write(text.getvalue())


def written(calibration: Calibration, source: Path) -> str:
    """The text of the chip's file ``source`` with the fitted values."""
    from axsim.fidelity.chip_file import with_calibrated
    from axsim.show.calibration_table import error_text

    parameters = calibration.parameters
    values = {each.name: each.value for each in parameters}
    notes = {each.name: error_text(each) for each in parameters}
    return with_calibrated(source, values, notes)


def _show(calibration: Calibration) -> None:
    from axsim.cli.terminal.console import console
    from axsim.fidelity.prediction import counted
    from axsim.show.calibration_table import (
        accuracy_table,
        kept_lines,
        left_out_line,
        left_out_table,
        parameter_lines,
        parameters_table,
    )

    out = console()
    rows = len(calibration.validation.compared)
    out.print(f"{calibration.chip.name}, fitted to {counted(rows, 'row')}\n")
    out.print(parameters_table(calibration.parameters))
    out.print("\nDetermined by (share of the squared sensitivities, by series of rows)")
    for line in parameter_lines(calibration.parameters):
        out.print(line)
    out.print("\nNot fitted")
    for line in kept_lines(calibration):
        out.print(f"  {line}")
    out.print("\nErrors of the fitted rows")
    out.print(accuracy_table(calibration))
    if calibration.left_out is not None:
        for kind, folds in calibration.left_out.kinds().items():
            out.print()
            out.print(left_out_table(folds))
            out.print(left_out_line(kind, folds))


@contextmanager
def processes() -> Iterator[Executor | None]:
    """A pool of processes, or None on a single core."""
    import signal
    from concurrent.futures import ProcessPoolExecutor
    from multiprocessing import get_context

    workers = min(MOST_WORKERS, os.cpu_count() or 1)
    if workers == 1:
        yield None
        return
    with ProcessPoolExecutor(
        workers,
        get_context("spawn"),
        initializer=signal.signal,  # Ctrl-C ends this process; the others need not tell of it
        initargs=(signal.SIGINT, signal.SIG_IGN),
    ) as executor:
        yield executor


@contextmanager
def _progress(quiet: bool) -> Iterator[OnProgress]:
    """A line that counts simulated ledgers, on a terminal."""
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    err = Console(stderr=True)
    if quiet or not err.is_terminal:
        yield lambda stage, count: None
        return
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=err, transient=True) as bar:
        task = bar.add_task("starting", total=None)

        def advance(stage: str, count: int) -> None:
            bar.update(task, advance=count)
            done = int(bar.tasks[0].completed)
            bar.update(task, description=f"{stage}: {done} simulations of the ledger")

        yield advance


CALIBRATE = Command(
    "calibrate",
    calibrate,
    """
    axsim calibrate ax650n -o ax650n.yaml
    axsim calibrate my_board.yaml --ledger mine.csv --cross-validate -o my_board.yaml
    axsim calibrate ax630c --power meter.csv -o my_board.yaml
    """,
    place=16,
)
