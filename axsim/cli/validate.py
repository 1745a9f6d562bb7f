"""``axsim validate``: predictions against measurements."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from axsim.cli.command import Command

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
    chip: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(
            metavar="CHIP", help="Only the rows of this chip; a file's chip predicts its rows."
        ),
    ] = None,
    plot: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(metavar="FILE", help="Draw predicted over measured (.png, .svg, .pdf)."),
    ] = None,
    json_path: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option("--json", metavar="FILE", help="Write one object per row; - is stdout."),
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
    """Predict every row of a ledger and compare with what was measured.

    Shows each row, then mean (MAPE), median and worst error by metric and chip, and how many pairs
    of rows are predicted in the right order. Exit status 1 when a row cannot be predicted or a
    limit is broken.
    """
    from axsim.cli.terminal.run_plot import check_picture
    from axsim.fidelity.validate import validate as validate_ledger
    from axsim.files import check_writable
    from axsim.show.validation_table import failure_lines

    check_writable(json_path)
    check_picture(plot)
    found = validate_ledger(ledger, models, chip)
    if not quiet and str(json_path) != "-":
        _show(found)
    if json_path is not None:
        _write(found, json_path)
    if plot is not None:
        from axsim.show.plots import predicted_measured, save

        save(predicted_measured(found), plot)
    complaints = [*failure_lines(found.failures), *_broken(found, max_mape, max_error)]
    for line in complaints:
        typer.echo(f"error: {line}", err=True)
    if complaints:
        raise typer.Exit(1)


def _show(validation: Validation) -> None:
    from axsim.cli.terminal.console import console
    from axsim.show.validation_table import orderings_line, rows_table, summary_table

    out = console()
    for group in validation.groups:
        out.print(f"{group.metric} on {group.chip}")
        out.print(rows_table(group))
        out.print()
    out.print(summary_table(validation))
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
                f"{len(over)} of {len(validation.compared)} rows are off by more than "
                f"{max_error:g} %, {worst.row.id} most: {worst.error:+.1%}"
            )
    return found


VALIDATE = Command(
    "validate",
    validate,
    """
    axsim validate --plot accuracy.png
    axsim validate --ledger mine.csv --models mine.yaml --max-mape 6
    """,
    place=13,
)
