"""Options that say what the kernels' numbers are made from: weights, pictures, text, ranges."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional, TypeAlias

import typer

if TYPE_CHECKING:
    from axsim.runs.sources import Sources

# Optional, not "| None": typer evaluates these annotations on Python 3.10 as well.


class ObserverName(str, Enum):
    """How ranges of activations are found."""

    minmax = "minmax"
    percentile = "percentile"
    mse = "mse"
    kl = "kl"


class CalibrateOn(str, Enum):
    """What ranges of activations may be taken from in place of pictures."""

    seeded = "seeded"


OBSERVERS = {"minmax": "MinMax", "percentile": "Percentile", "mse": "MSE", "kl": "KL"}
"""The class that each name stands for, in :mod:`axsim.numerics.observers`."""


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
        help="Pictures in place of seeded ones: a few are held out and compared with float32, the "
        "ranges of U8 and U16 activations come from the others.",
    ),
]

CalibrateOnSeeded: TypeAlias = Annotated[
    Optional[CalibrateOn],  # noqa: UP045
    typer.Option(
        "--calibrate-on",
        help="Insist on a seeded picture for the ranges of a checkpoint, in place of --images.",
    ),
]

TextFile: TypeAlias = Annotated[
    Optional[Path],  # noqa: UP045
    typer.Option(
        "--text",
        metavar="FILE",
        help="Judge the checkpoint on this text (UTF-8), in place of the page that comes with "
        "axsim: perplexity, divergence and agreement with float32.",
    ),
]

Observer: TypeAlias = Annotated[
    ObserverName, typer.Option("--observer", help="How the ranges of activations are found.")
]

SmoothQuant: TypeAlias = Annotated[
    bool, typer.Option("--smooth-quant", help="Move outlier channels into the weights first.")
]


def check_kernel_options(
    timing_only: bool,
    images: Path | None,
    calibrate_on: CalibrateOn | None,
    observer: ObserverName,
    text: Path | None,
) -> None:
    """InputError for an option of the kernels beside ``--timing-only``."""
    from axsim.errors import InputError

    given = {
        "--images": images is not None,
        "--calibrate-on": calibrate_on is not None,
        "--observer": observer is not ObserverName.minmax,
        "--text": text is not None,
    }
    named = [option for option, there in given.items() if there]
    if named and timing_only:
        raise InputError(f"{named[0]} is for the kernels, which --timing-only leaves out")


def sources_of(
    checkpoint: Path | None,
    images: Path | None,
    text: Path | None,
    observer: ObserverName,
    calibrate_on: CalibrateOn | None,
) -> Sources:
    """What the numbers are made from; InputError when the options contradict each other."""
    from axsim.runs.sources import Sources

    insisted = None if calibrate_on is None else calibrate_on.value
    return Sources.of(checkpoint, images, text, OBSERVERS[observer.value], insisted)
