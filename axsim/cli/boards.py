"""``axsim boards``: the boards that come with axsim."""

from __future__ import annotations

from axsim.cli.command import Command


def boards() -> None:
    """List the shipped boards: chip, memory, storage and link."""
    from rich.table import Table

    from axsim.cli.terminal.console import console
    from axsim.spec.board import load_board
    from axsim.spec.descriptor import shipped

    table = Table(box=None, pad_edge=False)
    for heading in ("name", "chip"):
        table.add_column(heading, no_wrap=True)
    for heading in ("DRAM\nMiB", "for the\nNPU", "storage\nMB/s"):
        table.add_column(heading, justify="right")
    table.add_column("link")
    for name in shipped("board"):
        board = load_board(name)
        chip = board.chip_on_it()
        dram, host = chip.dram, chip.host
        table.add_row(
            name,
            board.chip,
            str(dram.capacity_bytes >> 20),
            str((dram.npu_bytes or dram.capacity_bytes) >> 20),
            f"{host.storage_mb_per_s:g}" if host.storage_mb_per_s else "–",
            host.link or "–",
        )
    screen = console()
    screen.print(table)
    screen.print("\nThe storage's speed is yours to measure; with it, runs tell the time to load.")


BOARDS = Command(
    "boards",
    boards,
    """
    axsim boards
    """,
    place=7,
)
