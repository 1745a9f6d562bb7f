"""``axsim boards``: the boards that come with axsim."""

from __future__ import annotations

from axsim.cli.command import Command
from axsim.cli.options import JsonPath


def boards(json_path: JsonPath = None) -> None:
    """List the shipped boards: chip, memory, storage and link."""
    from axsim.cli.terminal.listing import Column, show_listing
    from axsim.spec.board import load_board
    from axsim.spec.descriptor import shipped

    rows = []
    for name in shipped("board"):
        board = load_board(name)
        chip = board.chip_on_it()
        dram, host = chip.dram, chip.host
        rows.append(
            {
                "name": name,
                "chip": board.chip,
                "dram_mib": dram.capacity_bytes >> 20,
                "npu_mib": (dram.npu_bytes or dram.capacity_bytes) >> 20,
                "storage_mb_per_s": host.storage_mb_per_s,
                "link": host.link,
            }
        )
    columns = (
        Column("\nname", "name"),
        Column("\nchip", "chip"),
        Column("DRAM\nMiB", "dram_mib"),
        Column("for the\nNPU", "npu_mib"),
        Column("storage\nMB/s", "storage_mb_per_s"),
        Column("\nlink", "link"),
    )
    note = "the storage's speed is yours to measure; with it, runs tell the time to load"
    show_listing("boards", rows, columns, json_path, note)


BOARDS = Command(
    "boards",
    boards,
    """
    axsim boards
    axsim boards --json boards.json
    """,
    place=20,
)
