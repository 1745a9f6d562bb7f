"""``axsim scenarios``: the scenarios that come with axsim."""

from __future__ import annotations

from axsim.cli.command import Command
from axsim.cli.options import JsonPath


def scenarios(json_path: JsonPath = None) -> None:
    """List the shipped scenarios with who is in them."""
    from axsim.cli.terminal.listing import Column, show_listing
    from axsim.spec.descriptor import shipped
    from axsim.spec.scenario import load_scenario

    rows = []
    for name in shipped("scenario"):
        scenario = load_scenario(name)
        rows.append(
            {
                "name": name,
                "chip": scenario.chip,
                "tenants": list(scenario.tenants),
                "description": scenario.description,
            }
        )
    columns = [Column(name, name) for name in ("name", "chip", "tenants", "description")]
    show_listing("scenarios", rows, columns, json_path)


SCENARIOS = Command(
    "scenarios",
    scenarios,
    """
    axsim scenarios
    axsim scenarios --json scenarios.json
    """,
    place=22,
)
