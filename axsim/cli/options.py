"""Arguments and options that several commands share: each is declared once, here."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated, Optional, TypeAlias

import typer

# Optional, not "| None": typer evaluates these annotations on Python 3.10 as well.


class ObserverName(str, Enum):
    """How ranges of activations are found."""

    minmax = "minmax"
    percentile = "percentile"
    mse = "mse"
    kl = "kl"


OBSERVERS = {"minmax": "MinMax", "percentile": "Percentile", "mse": "MSE", "kl": "KL"}
"""The class that each name stands for, in :mod:`axsim.numerics.observers`."""


WorkloadName: TypeAlias = Annotated[
    str,
    typer.Argument(metavar="WORKLOAD", help="A workload, by name (`axsim workloads`) or by file."),
]

ChipName: TypeAlias = Annotated[
    str,
    typer.Option("--chip", metavar="CHIP", help="A chip by name (`axsim chips`) or by file."),
]

ChipNames: TypeAlias = Annotated[
    list[str],
    typer.Option(
        "--chip",
        metavar="CHIP,…",
        help="Chips by name (`axsim chips`) or by file, with commas or repeated.",
    ),
]

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

Variants: TypeAlias = Annotated[
    list[str],
    typer.Option(
        "--variant",
        metavar="NAME",
        show_default=False,
        help="Only this variant of the workload; may be repeated.",
    ),
]

VariantName: TypeAlias = Annotated[
    Optional[str],  # noqa: UP045
    typer.Option(
        "--variant", metavar="NAME", help="The variant to take; the first one by default."
    ),
]

CheckpointFolder: TypeAlias = Annotated[
    Optional[Path],  # noqa: UP045
    typer.Option(
        "--checkpoint", metavar="DIR", help="Weights from a checkpoint in place of synthetic ones."
    ),
]

CalibrationFolder: TypeAlias = Annotated[
    Optional[Path],  # noqa: UP045
    typer.Option(
        "--images",
        metavar="DIR",
        help="Calibrate the ranges of U8 and U16 activations on the pictures of this folder, in "
        "place of a seeded one.",
    ),
]

Observer: TypeAlias = Annotated[
    ObserverName, typer.Option("--observer", help="How the ranges of activations are found.")
]

SmoothQuant: TypeAlias = Annotated[
    bool, typer.Option("--smooth-quant", help="Move outlier channels into the weights first.")
]

TimingOnly: TypeAlias = Annotated[
    bool, typer.Option("--timing-only", help="Leave the numeric kernels out: same timeline.")
]

JsonPath: TypeAlias = Annotated[
    Optional[Path],  # noqa: UP045
    typer.Option("--json", metavar="FILE", help="Write the results as JSON; - is stdout."),
]

Quiet: TypeAlias = Annotated[
    bool, typer.Option("--quiet", "-q", help="No tables and no progress bar.")
]


def chip_names(texts: list[str]) -> list[str]:
    """The names in the texts of :data:`ChipNames`, in order."""
    return [name.strip() for text in texts for name in text.split(",")]
