"""``axsim workloads``: the workloads that come with axsim."""

from __future__ import annotations

from axsim.cli.command import Command


def workloads() -> None:
    """List the shipped workloads with what they ask."""
    from rich.table import Table

    from axsim.cli.terminal.console import console
    from axsim.spec.descriptor import shipped
    from axsim.spec.workload import load_workload

    table = Table(box=None, pad_edge=False)
    for heading in ("name", "model", "variants", "description"):
        table.add_column(heading, no_wrap=heading == "name")
    for name in shipped("workload"):
        workload = load_workload(name)
        variants = ", ".join(workload.variant_names)
        table.add_row(name, workload.name, variants, workload.description)
    console().print(table)


WORKLOADS = Command(
    "workloads",
    workloads,
    """
    axsim workloads
    """,
    place=7,
)
