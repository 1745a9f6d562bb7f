"""``axsim compare``: two chips, workloads or results, side by side."""

from __future__ import annotations

from typing import Annotated, Optional

import typer

from axsim.cli.command import Command
from axsim.cli.options import CutNetworkOptions, Settings, tell_idle


def compare(
    first: Annotated[
        str,
        typer.Argument(metavar="A", help="A chip, a workload, or a file of `axsim run --json`."),
    ],
    second: Annotated[str, typer.Argument(metavar="B", help="Another one of the same kind.")],
    network: CutNetworkOptions,
    chip: Annotated[
        Optional[str],  # noqa: UP045  (typer evaluates annotations on Python 3.10 as well)
        typer.Option("--chip", metavar="CHIP", help="Where two workloads run."),
    ] = None,
    workload: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(metavar="WORKLOAD", help="What two chips run."),
    ] = None,
    settings: Settings = [],  # noqa: B006
) -> None:
    """Show two chips, workloads or results side by side.

    The largest differences first. Times are predicted without kernels. Without --workload or
    --chip, only the keys are compared.
    """
    from axsim.cli.terminal.console import console
    from axsim.fidelity.prediction import counted
    from axsim.show.changes_table import changes_table
    from axsim.spec.descriptor import parse_overrides
    from axsim.study.changes import compare_groups, different
    from axsim.study.compare import by_group, pair, shared, sides

    overrides, both = parse_overrides(settings) | network.keys, (first, second)
    with network.told():
        one, two = sides(first, second, chip, workload, overrides)
    if workload is not None:
        tell_idle(settings, [(workload, name) for name in both], overrides)
    elif chip is not None:
        tell_idle(settings, [(name, chip) for name in both], overrides)
    out = console()
    a, b = ("A", "B") if one.label == two.label else (one.label, two.label)
    if (a, b) != (first, second):
        out.print(f"{a}: {first}\n{b}: {second}\n")
    keys = different(compare_groups(*shared(*pair(one.keys, two.keys))))
    times = compare_groups(*pair(one.values, two.values))
    unequal = different(times)
    if times:
        out.print("Results")
        out.print(changes_table(by_group(times), "variant", a, b))
        out.print()
    if keys:
        what = "Conditions" if one.kind == "result" else f"Keys of the {one.kind}s"
        out.print(f"{what} that differ")
        out.print(changes_table(by_group(keys), "", a, b))
        out.print()
    equal = len(times) - len(unequal)
    results, others = (
        f"{counted(len(found), thing)} {'differs' if len(found) == 1 else 'differ'}"
        for found, thing in ((unequal, "result"), (keys, "key"))
    )
    out.print(f"{results}, {equal} {'is' if equal == 1 else 'are'} equal; {others}")


COMPARE = Command(
    "compare",
    compare,
    """
    axsim compare ax650n ax630c --workload internvl2_1b
    axsim compare before.json after.json
    """,
    place=6,
)
