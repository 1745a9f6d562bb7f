"""``axsim chips``: the chips that come with axsim."""

from __future__ import annotations

from axsim.cli.command import Command
from axsim.cli.options import JsonPath


def chips(json_path: JsonPath = None) -> None:
    """List the shipped chips with their main figures."""
    from axsim.cli.terminal.listing import Column, show_listing
    from axsim.spec.chip import load_chip
    from axsim.spec.descriptor import shipped

    rows = []
    for name in shipped("chip"):
        chip = load_chip(name)
        rows.append(
            {
                "name": name,
                "chip": chip.name,
                "npu": chip.npu.generation,
                "groups": chip.npu.resource_groups,
                "int8_tops": chip.structural_int8_tops,
                "rated_tops": [r.value for r in chip.rated.values() if r.unit == "TOPS"],
                "dram_gbps": chip.dram.bandwidth_gbps,
                "sustained_gbps": chip.sustained_gbps,
                "ocm_mb": chip.ocm_bytes / 1e6,
                "cpu": f"{chip.cpu.cores} × {chip.cpu.model}",
                "cpu_mhz": chip.cpu.clock_mhz,
            }
        )
    columns = (
        Column("\nname", "name"),
        Column("\nNPU", "npu"),
        Column("\ngroups", "groups"),
        Column("INT8\nTOPS¹", "int8_tops", "{:.1f}"),
        Column("\nrated", "rated_tops"),
        Column("DRAM\nGB/s", "dram_gbps", "{:.1f}"),
        Column("sus-\ntained", "sustained_gbps", "{:.1f}"),
        Column("OCM\nMB", "ocm_mb", "{:.1f}"),
        Column("\nCPU", "cpu"),
        Column("\nMHz", "cpu_mhz", "{:g}"),
    )
    note = "¹ as the structure gives them, beside the vendor's ratings; `axsim show NAME` explains"
    show_listing("chips", rows, columns, json_path, note)


CHIPS = Command(
    "chips",
    chips,
    """
    axsim chips
    axsim chips --json chips.json
    """,
    place=19,
)
