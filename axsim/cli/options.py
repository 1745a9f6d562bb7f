"""Arguments and options that several commands share: each is declared once, here."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Optional, TypeAlias

import typer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from axsim.compiler.partition import Deployment
    from axsim.inputs.chat import Chat
    from axsim.runs.results import RunResult

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
    typer.Argument(
        metavar="WORKLOAD",
        help="A workload, by name (`axsim workloads`) or by file, or an ONNX file.",
    ),
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

InputShapes: TypeAlias = Annotated[
    list[str],
    typer.Option(
        "--shape",
        metavar="NAME=1x3x640x640",
        show_default=False,
        help="Shape of an ONNX file's input, where it is dynamic or to be another; may be "
        "repeated.",
    ),
]

OutputNames: TypeAlias = Annotated[
    list[str],
    typer.Option(
        "--output",
        metavar="NAME",
        show_default=False,
        help="End an ONNX file's network at this tensor, in place of its outputs; may be repeated.",
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

Seed: TypeAlias = Annotated[
    Optional[int],  # noqa: UP045
    typer.Option(
        "--seed", min=0, metavar="N", help="Seed of pixels, prompt, weights and sampling."
    ),
]

Quiet: TypeAlias = Annotated[
    bool, typer.Option("--quiet", "-q", help="No tables and no progress bar.")
]


def chip_names(texts: list[str]) -> list[str]:
    """The names in the texts of :data:`ChipNames`, in order."""
    return [name.strip() for text in texts for name in text.split(",")]


@dataclass(frozen=True)
class NetworkOptions:
    """What of an ONNX file is deployed, and for which shapes."""

    shape: InputShapes = field(default_factory=list)
    output: OutputNames = field(default_factory=list)

    @property
    def keys(self) -> dict[str, object]:
        """The keys of a workload that the options stand for.

        Raises:
            BadParameter: a shape is none.
        """
        sizes: dict[str, tuple[int, ...]] = {}
        for text in self.shape:
            name, _, given = text.rpartition("=")
            if not name or not re.fullmatch(r"[1-9]\d*(x[1-9]\d*)*", given):
                raise typer.BadParameter(f"--shape {text}: not NAME=1x3x640x640, in whole numbers")
            sizes[name] = tuple(map(int, given.split("x")))
        named = {"model.shapes": sizes, "model.outputs": tuple(self.output)}
        return {key: value for key, value in named.items() if value}


@dataclass(frozen=True)
class RunOptions:
    """What is simulated on which chip, with which weights, with or without kernels."""

    workload: WorkloadName
    chip: ChipName
    variant: Variants = field(default_factory=list)
    settings: Settings = field(default_factory=list)
    seed: Seed = None
    checkpoint: CheckpointFolder = None
    images: CalibrationFolder = None
    timing_only: TimingOnly = False
    quiet: Quiet = False

    def check(self) -> None:
        """Raises InputError for options that contradict each other."""
        from axsim.errors import InputError

        if self.images is not None and self.timing_only:
            raise InputError("--images calibrates the kernels, which --timing-only leaves out")

    @property
    def overrides(self) -> dict[str, object]:
        """The keys of ``--set`` with their values."""
        from axsim.spec.descriptor import parse_overrides

        return parse_overrides(self.settings)

    def timed(
        self, chat: Chat | None = None, keys: Mapping[str, object] = MappingProxyType({})
    ) -> RunResult:
        """The run without kernels; ``keys`` are set beside those of ``--set``."""
        from axsim.runs.run import time_run

        return time_run(
            self.workload,
            self.chip,
            variants=self.variant or None,
            overrides={**self.overrides, **keys},
            seed=self.seed,
            chat=chat,
        )


@dataclass(frozen=True)
class DeploymentOptions:
    """One variant of a workload, its weights, and how its activations are quantised."""

    workload: WorkloadName
    variant: VariantName = None
    settings: Settings = field(default_factory=list)
    checkpoint: CheckpointFolder = None
    observer: Observer = ObserverName.minmax
    smooth_quant: SmoothQuant = False

    def deployed(self, chip: str) -> Deployment:
        """The variant on ``chip``; the first one when none is named."""
        from axsim.errors import InputError

        found = self.deployed_whatever(chip)
        if found.workload.model.onnx is not None:
            what = f"{found.workload.name} is a network from an ONNX file"
            others = "build, run, explain, report, sweep and snapshot"
            raise InputError(f"{what}, which axsim {others} take")
        return found

    def deployed_whatever(
        self, chip: str, more: Mapping[str, object] = MappingProxyType({})
    ) -> Deployment:
        """The same, also of a network from an ONNX file or the model of a checkpoint's folder;
        ``more`` are keys beside those of ``--set``."""
        from axsim.compiler.partition import Deployment
        from axsim.spec.chip import load_chip
        from axsim.spec.descriptor import parse_overrides, split_overrides
        from axsim.spec.from_checkpoint import workload_of
        from axsim.spec.workload import load_workload

        chip_keys, keys = split_overrides({**parse_overrides(self.settings), **more}, "chip")
        load = workload_of if Path(self.workload).is_dir() else load_workload
        if self.variant is None:
            chosen = next(iter(load(self.workload, keys).expand().values()))
        else:
            chosen = load(self.workload, keys, self.variant)
        return Deployment(chosen, load_chip(chip, chip_keys))

    @property
    def observer_class(self) -> str:
        """The class of ``--observer``, in :mod:`axsim.numerics.observers`."""
        return OBSERVERS[self.observer.value]
