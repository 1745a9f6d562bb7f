"""``axsim workloads``: the workloads that come with axsim."""

from __future__ import annotations

from axsim.cli.command import Command
from axsim.cli.options import JsonPath


def workloads(json_path: JsonPath = None) -> None:
    """List the shipped workloads with what they ask."""
    from axsim.cli.terminal.listing import Column, show_listing
    from axsim.spec.descriptor import shipped
    from axsim.spec.workload import load_workload

    rows = []
    for name in shipped("workload"):
        workload = load_workload(name)
        variants, words = list(workload.variant_names), workload.description
        rows.append(
            {"name": name, "model": workload.name, "variants": variants, "description": words}
        )
    columns = [Column(name, name) for name in ("name", "model", "variants", "description")]
    show_listing("workloads", rows, columns, json_path)


WORKLOADS = Command(
    "workloads",
    workloads,
    """
    axsim workloads
    axsim workloads --json workloads.json
    """,
    place=21,
)
