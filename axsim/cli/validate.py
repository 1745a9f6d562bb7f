"""``axsim validate``: predictions against measurements."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from axsim.cli.command import Command
from axsim.cli.terminal.console import say
from axsim.cli.terminal.outputs import will_write, written_as

if TYPE_CHECKING:
    from axsim.fidelity.validate import Validation


def validate(
    ledger: Annotated[
        Optional[Path],  # noqa: UP045  (typer evaluates annotations on Python 3.10 as well)
        typer.Option(
            metavar="FILE.csv",
            help="Measurements, with the columns of the shipped ones: one row each.",
        ),
    ] = None,
    models: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(
            metavar="FILE.yaml",
            help="Architectures that the rows name, beside the shipped ones; these win.",
        ),
    ] = None,
    graphs: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(
            metavar="DIR",
            help="Where the ONNX files are that rows of graph_ms name, in place of the shipped.",
        ),
    ] = None,
    chip: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(
            metavar="CHIP", help="Only the rows of this chip; a file's chip predicts its rows."
        ),
    ] = None,
    explain: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(
            metavar="ROW",
            help="Only this row: where its time goes, what decides it, which rows disagree.",
        ),
    ] = None,
    plot: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(metavar="FILE", help="Draw predicted over measured (.png, .svg, .pdf)."),
    ] = None,
    json_path: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(
            "--json",
            metavar="FILE",
            callback=written_as(".json"),
            help="Write one object per row; - is stdout.",
        ),
    ] = None,
    max_mape: Annotated[
        Optional[float],  # noqa: UP045
        typer.Option(metavar="PCT", min=0, help="Fail when the MAPE of all rows is higher."),
    ] = None,
    max_error: Annotated[
        Optional[float],  # noqa: UP045
        typer.Option(metavar="PCT", min=0, help="Fail when any row's error is larger."),
    ] = None,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="No tables; only what is wrong.")
    ] = False,
) -> None:
    """Predict what was measured: every row of a ledger.

    Shows each row, then mean (MAPE), median and 90th percentile of the errors by metric and chip,
    how many measured values lie inside the intervals, the worst row, and how many pairs of rows are
    predicted in the right order. Exit status 1 when a row cannot be predicted or a limit is broken.
    """
    from axsim.cli.terminal.run_plot import check_picture
    from axsim.fidelity.validate import validate as validate_ledger
    from axsim.show.validation_table import failure_lines

    will_write(json_path, plot)
    check_picture(plot)
    if explain is not None:
        _refuse_with_explain(plot=plot, max_mape=max_mape, max_error=max_error)
        _explain(explain, ledger, models, chip, graphs, json_path, quiet)
        return
    found = validate_ledger(ledger, models, chip, graphs)
    if not quiet and str(json_path) != "-":
        _show(found)
    if json_path is not None:
        _write(found, json_path)
    if plot is not None:
        from axsim.show.plots import predicted_measured, save

        save(predicted_measured(found), plot)
    complaints = [*failure_lines(found.failures), *_broken(found, max_mape, max_error)]
    for line in complaints:
        say(f"error: {line}", err=True)
    if complaints:
        raise typer.Exit(1)


def _refuse_with_explain(**options: object) -> None:
    for name, value in options.items():
        if value is not None:
            raise typer.BadParameter(f"--{name.replace('_', '-')} has no effect with --explain")


def _explain(
    row: str,
    ledger: Path | None,
    models: Path | None,
    chip: str | None,
    graphs: Path | None,
    json_path: Path | None,
    quiet: bool,
) -> None:
    from axsim.cli.terminal.console import console
    from axsim.fidelity.row_explanation import explain_row
    from axsim.fidelity.validate import architectures, chosen, folder_of
    from axsim.files import write_json
    from axsim.show import explained_row as shown

    rows, known, chips = chosen(ledger, architectures(models), chip)
    found = explain_row(row, rows, known, chips, folder_of(graphs))
    if not quiet and str(json_path) != "-":
        out = console()
        for line in shown.heading_lines(found):
            out.print(line)
        out.print()
        out.print(shown.time_table(found))
        out.print(shown.busy_line(found))
        out.print()
        out.print(shown.elasticities_table(found))
        out.print()
        if found.disagreeing:
            out.print("Rows that the same numbers decide, wrong in the other direction")
            out.print(shown.disagreeing_table(found))
        else:
            out.print("No row that the same numbers decide is wrong in the other direction.")
    if json_path is not None:
        write_json(found.to_dict(), json_path)


def _show(validation: Validation) -> None:
    from axsim.cli.terminal.console import console
    from axsim.show.validation_table import (
        coverage_line,
        orderings_line,
        rows_table,
        summary_table,
    )

    out = console()
    for group in validation.groups:
        out.print(f"{group.metric} on {group.chip}")
        out.print(rows_table(group))
        out.print()
    out.print(summary_table(validation))
    out.print(coverage_line())
    out.print()
    out.print(orderings_line(validation))


def _write(validation: Validation, path: Path) -> None:
    import json

    from axsim.files import whole_text

    with whole_text(path) as file:
        json.dump(validation.to_list(), file, indent=1, ensure_ascii=False, allow_nan=False)
        file.write("\n")


def _broken(validation: Validation, max_mape: float | None, max_error: float | None) -> list[str]:
    """The limits, in percent, that the predictions break."""
    from axsim.fidelity.prediction import counted

    found = []
    mape = validation.overall.mape * 100
    if max_mape is not None and mape > max_mape:
        found.append(f"the MAPE of all rows is {mape:.2f} %, more than {max_mape:g} %")
    if max_error is not None:
        over = [each for each in validation.compared if abs(each.error or 0) * 100 > max_error]
        if over:
            worst = max(over, key=lambda each: abs(each.error or 0))
            assert worst.error is not None
            found.append(
                f"{len(over)} of {counted(len(validation.compared), 'row')} "
                f"{'is' if len(over) == 1 else 'are'} off by more than {max_error:g} %, "
                f"{worst.row.id} most: {worst.error:+.1%}"
            )
    return found


VALIDATE = Command(
    "validate",
    validate,
    """
    axsim validate --plot accuracy.png
    axsim validate --ledger mine.csv --models mine.yaml --max-mape 6
    """,
    place=15,
)
