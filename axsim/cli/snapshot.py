"""``axsim snapshot`` and ``axsim check``: predicted times, pinned."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from axsim.cli.command import Command
from axsim.cli.options import (
    ChipNames,
    NetworkOptions,
    Settings,
    Variants,
    WorkloadName,
    chip_names,
    tell_idle,
    tell_ignored,
)
from axsim.cli.terminal.outputs import will_write, written_as


def snapshot(
    workload: WorkloadName,
    chip: ChipNames,
    network: NetworkOptions,
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE.json",
            callback=written_as(".json"),
            help="The baseline to write.",
        ),
    ],
    variant: Variants = [],  # noqa: B006
    settings: Settings = [],  # noqa: B006
) -> None:
    """Pin a workload's predicted times, for `axsim check`.

    The file also holds every parameter that the times come from. Commit it beside the workload.
    """
    from axsim.files import write_json
    from axsim.spec.descriptor import parse_overrides, split_overrides
    from axsim.spec.workload import load_workload
    from axsim.study.regression import snapshot as take

    will_write(output)
    overrides, chips = parse_overrides(settings) | network.keys, chip_names(chip)
    variants = variant or None
    with network.told():
        found = take(workload, chips, variants=variants, overrides=overrides, folder=output.parent)
    _, keys = split_overrides(overrides, "chip")
    tell_ignored(load_workload(workload, keys))
    tell_idle(settings, [(workload, each) for each in chips], overrides, variants=variants)
    write_json(found, output)


def check(
    baseline: Annotated[
        Path, typer.Argument(metavar="BASELINE.json", help="A file of `axsim snapshot`.")
    ],
    tolerance: Annotated[
        str, typer.Option(metavar="PCT", help="Change that is let pass, in percent: 2 or 2%.")
    ] = "2%",
) -> None:
    """Predict the times of a snapshot again: has any moved?

    Then the exit status is 1. Shows what has moved by more than the tolerance, and which parameter
    of the chip or workload, or which version of axsim, changed since.
    """
    from axsim.cli.terminal.console import console
    from axsim.fidelity.prediction import counted
    from axsim.show.changes_table import changes_table
    from axsim.spec.percentage import percent_text, percentage
    from axsim.study.regression import check as check_baseline

    found = check_baseline(baseline, percentage(tolerance, "--tolerance"))
    allowed = percent_text(found.tolerance)
    out = console()
    if found.moved:
        out.print(f"Moved by more than {allowed}")
        out.print(changes_table(found.moved, "chip, variant", "baseline", "now"))
        out.print()
    if found.causes:
        out.print("Changed since the baseline")
        out.print(changes_table(found.causes, "of", "baseline", "now", ratio=False))
        out.print()
    elif found.moved or found.within:
        out.print("No parameter and no code has changed since the baseline.\n")
    times = counted(len(found.moved), "time")
    out.print(f"{times} moved by more than {allowed}, {len(found.within)} by less")
    if not found.ok:
        raise typer.Exit(1)


SNAPSHOT = Command(
    "snapshot",
    snapshot,
    """
    axsim snapshot mine.yaml --chip ax630c -o baseline.json
    """,
    place=14,
)


CHECK = Command(
    "check",
    check,
    """
    axsim check baseline.json --tolerance 2%
    """,
    place=14,
)
