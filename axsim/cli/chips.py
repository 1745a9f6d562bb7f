"""``axsim chips``: the chips that come with axsim."""

from __future__ import annotations


def chips() -> None:
    """List the shipped chips."""
    from rich.table import Table

    from axsim.cli.console import console
    from axsim.descriptor import shipped
    from axsim.located import read

    table = Table(box=None, pad_edge=False)
    for heading in ("name", "description"):
        table.add_column(heading, no_wrap=heading == "name")
    for name, path in shipped("chip").items():
        description = read(path).child("description")
        table.add_row(name, str(description.value) if description else "")
    console().print(table)
