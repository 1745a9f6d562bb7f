"""``axsim scenarios``: the scenarios that come with axsim."""

from __future__ import annotations

from axsim.cli.command import Command


def scenarios() -> None:
    """List the shipped scenarios with who is in them."""
    from rich.table import Table

    from axsim.cli.terminal.console import console
    from axsim.spec.descriptor import shipped
    from axsim.spec.scenario import load_scenario

    table = Table(box=None, pad_edge=False)
    for heading in ("name", "chip", "tenants", "description"):
        table.add_column(heading, no_wrap=heading in ("name", "chip"))
    for name in shipped("scenario"):
        scenario = load_scenario(name)
        tenants = ", ".join(scenario.tenants)
        table.add_row(name, scenario.chip or "", tenants, scenario.description)
    console().print(table)


SCENARIOS = Command(
    "scenarios",
    scenarios,
    """
    axsim scenarios
    """,
    place=7,
)
