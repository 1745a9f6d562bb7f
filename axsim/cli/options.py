"""Options that several commands share."""

from __future__ import annotations

from typing import Annotated, TypeAlias

import typer

Settings: TypeAlias = Annotated[
    list[str],
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        show_default=False,
        help="Override a key, such as build.vision_dtype=u16 or chip.dram.data_rate_mtps=3200; "
        "may be repeated.",
    ),
]

ChipName: TypeAlias = Annotated[
    str,
    typer.Option("--chip", metavar="CHIP", help="A chip by name (`axsim chips`) or by file."),
]
