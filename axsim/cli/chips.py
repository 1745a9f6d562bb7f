"""``axsim chips``: the chips that come with axsim."""

from __future__ import annotations

from axsim.cli.command import Command


def chips() -> None:
    """List the shipped chips with their main figures."""
    from rich.table import Table

    from axsim.cli.terminal.console import console
    from axsim.spec.chip import load_chip
    from axsim.spec.descriptor import shipped

    table = Table(box=None, pad_edge=False)
    for heading in ("name", "chip", "NPU", "groups"):
        table.add_column(heading, no_wrap=True)
    for heading in ("INT8 TOPS", "rated", "DRAM GB/s", "sustained", "OCM MB"):
        table.add_column(heading, justify="right")
    table.add_column("CPU")
    for name in shipped("chip"):
        chip = load_chip(name)
        rated = [f"{each.value:g}" for each in chip.rated.values() if each.unit == "TOPS"]
        table.add_row(
            name,
            chip.name,
            chip.npu.generation,
            str(chip.npu.resource_groups),
            f"{chip.structural_int8_tops:.1f}",
            " / ".join(rated),
            f"{chip.dram.bandwidth_gbps:.1f}",
            f"{chip.sustained_gbps:.1f}",
            f"{chip.ocm_bytes / 1e6:.1f}",
            f"{chip.cpu.cores} × {chip.cpu.model}, {chip.cpu.clock_mhz:g} MHz",
        )
    screen = console()
    screen.print(table)
    screen.print(
        "\nINT8 TOPS as the structure gives them, beside the vendor's ratings; "
        "`axsim show NAME` explains."
    )


CHIPS = Command(
    "chips",
    chips,
    """
    axsim chips
    """,
    place=6,
)
