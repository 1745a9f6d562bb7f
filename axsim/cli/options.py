"""Arguments and options that several commands share: each is declared once, here."""

from __future__ import annotations

import re
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Optional, TypeAlias

import typer

from axsim.cli.source_options import (
    CalibrateOnSeeded,
    CalibrationFolder,
    CheckpointFolder,
    Observer,
    ObserverName,
    SmoothQuant,
    TextFile,
    check_kernel_options,
    sources_of,
)
from axsim.cli.terminal.console import say
from axsim.cli.terminal.outputs import written_as

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from axsim.compiler.partition import Deployment
    from axsim.errors import Problem
    from axsim.inputs.chat import Chat
    from axsim.models.weights import Weights
    from axsim.runs.no_effect import Case
    from axsim.runs.results import RunResult
    from axsim.runs.sources import Sources
    from axsim.spec.board import Board, Place
    from axsim.spec.scenario import Scenario
    from axsim.spec.workload import Workload

# Optional, not "| None": typer evaluates these annotations on Python 3.10 as well.


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

ChipOnBoard: TypeAlias = Annotated[
    Optional[str],  # noqa: UP045
    typer.Option(
        "--chip",
        metavar="CHIP",
        help="A chip by name (`axsim chips`) or by file; this or --board.",
    ),
]

BoardName: TypeAlias = Annotated[
    Optional[str],  # noqa: UP045
    typer.Option(
        "--board",
        metavar="BOARD",
        help="A board by name (`axsim boards`) or by file: its chip, memory, storage and link.",
    ),
]

BoardNames: TypeAlias = Annotated[
    list[str],
    typer.Option(
        "--board",
        metavar="BOARD,…",
        show_default=False,
        help="Boards by name (`axsim boards`) or by file, beside or in place of chips.",
    ),
]

MustFit: TypeAlias = Annotated[
    bool,
    typer.Option("--must-fit", help="Exit status 1 when the memory does not hold a variant."),
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

Pulsar2File: TypeAlias = Annotated[
    Optional[Path],  # noqa: UP045
    typer.Option(
        "--pulsar2",
        metavar="FILE.json",
        help="Pulsar2's build configuration of an ONNX file: NPU mode, U16 layers, mean, std, BGR.",
    ),
]

CUT = "End an ONNX file's network at this tensor, in place of its outputs; may be repeated."

CutNames: TypeAlias = Annotated[
    list[str], typer.Option("--cut", metavar="NAME", show_default=False, help=CUT)
]

OutputNames: TypeAlias = Annotated[
    list[str], typer.Option("--output", "--cut", metavar="NAME", show_default=False, help=CUT)
]

TimingOnly: TypeAlias = Annotated[
    bool, typer.Option("--timing-only", help="Leave the numeric kernels out: same timeline.")
]

JsonPath: TypeAlias = Annotated[
    Optional[Path],  # noqa: UP045
    typer.Option(
        "--json",
        metavar="FILE",
        callback=written_as(".json"),
        help="Write the results as JSON; - is stdout.",
    ),
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
    """What of an ONNX file is deployed, for which shapes, and the build configuration that it has:
    of commands that take a network."""

    CUT: ClassVar[str] = "--cut"

    shape: InputShapes = field(default_factory=list)
    pulsar2: Pulsar2File = None
    cut: CutNames = field(default_factory=list)

    @property
    def keys(self) -> dict[str, object]:
        """The keys of a workload that the options stand for.

        Raises:
            BadParameter: a shape is none, or an input has two.
        """
        from axsim.errors import shortened

        sizes: dict[str, tuple[int, ...]] = {}
        for text in self.shape:
            name, _, given = text.rpartition("=")
            if not name or not re.fullmatch(r"[1-9]\d{0,17}(x[1-9]\d{0,17})*", given, re.ASCII):
                shown = shortened(text, 80)
                raise typer.BadParameter(f"--shape {shown}: not NAME=1x3x640x640, in whole numbers")
            if name in sizes:
                raise typer.BadParameter(f"--shape {name} is given twice; it takes one value")
            sizes[name] = tuple(map(int, given.split("x")))
        file = "" if self.pulsar2 is None else str(self.pulsar2)
        named = {
            "model.shapes": sizes,
            "build.pulsar2": file,
            "model.outputs": tuple(self.cut),
        }
        return {key: value for key, value in named.items() if value}

    @property
    def typed(self) -> dict[str, str]:
        """By those keys, what was typed."""
        shapes = " ".join(f"--shape {text}" for text in self.shape)
        cuts = " ".join(f"{self.CUT} {name}" for name in self.cut)
        return {
            "model.shapes": shapes,
            "build.pulsar2": f"--pulsar2 {self.pulsar2}",
            "model.outputs": cuts,
        }

    @contextmanager
    def told(self) -> Iterator[None]:
        """Inside, errors cite what was typed in place of the keys that it stands for."""
        from axsim.errors import InputError

        try:
            yield
        except InputError as error:
            raise InputError(map(self._as_typed, error.problems)) from None

    def _as_typed(self, problem: Problem) -> Problem:
        for key in self.keys:
            if problem.where.startswith(f"--set {key}="):
                return replace(problem, where=self.typed[key], key="")
        return problem


NO_NETWORK = NetworkOptions()


@dataclass(frozen=True)
class CutNetworkOptions(NetworkOptions):
    """The same of commands whose ``--output`` is no file: it is ``--cut``, too."""

    CUT: ClassVar[str] = "--output"

    cut: OutputNames = field(default_factory=list)


@dataclass(frozen=True)
class RunOptions:
    """What is simulated on which chip, with which weights, with or without kernels."""

    workload: WorkloadName
    chip: ChipOnBoard = None
    board: BoardName = None
    must_fit: MustFit = False
    variant: Variants = field(default_factory=list)
    settings: Settings = field(default_factory=list)
    seed: Seed = None
    checkpoint: CheckpointFolder = None
    images: CalibrationFolder = None
    calibrate_on: CalibrateOnSeeded = None
    observer: Observer = ObserverName.minmax
    text: TextFile = None
    timing_only: TimingOnly = False
    quiet: Quiet = False

    def check(self) -> None:
        """Raises InputError for options that contradict each other."""
        check_kernel_options(
            self.timing_only, self.images, self.calibrate_on, self.observer, self.text
        )

    @property
    def sources(self) -> Sources:
        """What the kernels' numbers are made from; InputError when that contradicts itself."""
        return sources_of(self.checkpoint, self.images, self.text, self.observer, self.calibrate_on)

    @cached_property
    def place(self) -> str:
        """The chip's name or file: that of ``--chip``, or the board's.

        Raises:
            BadParameter: neither or both are given.
        """
        if self.chip is not None and self.board is not None:
            raise typer.BadParameter("--chip and --board: give one, a board has its chip")
        if self.chip is not None:
            return self.chip
        if self._board is None:
            raise typer.BadParameter("Missing option '--chip' (or '--board')")
        return self._board.chip

    @cached_property
    def _board(self) -> Board | None:
        from axsim.spec.board import load_board

        return None if self.board is None else load_board(self.board)

    @cached_property
    def overrides(self) -> dict[str, object]:
        """The keys that the board sets, and those of ``--set`` with their values."""
        from axsim.spec.descriptor import parse_overrides

        keys = self._board.overrides if self._board else {}
        own = parse_overrides(self.settings)
        return {**{f"chip.{key}": value for key, value in keys.items()}, **own}

    def check_fit(self, result: RunResult) -> None:
        """With ``--must-fit``, exit status 1 when the memory does not hold a variant."""
        from axsim.show.tables import misfits

        lines = misfits(result, self.board or "") if self.must_fit else []
        for line in lines:
            say(f"error: {line}", err=True)
        if lines:
            raise typer.Exit(1)

    def timed(self, network: NetworkOptions = NO_NETWORK, chat: Chat | None = None) -> RunResult:
        """The run without kernels; the keys of ``network`` are set beside those of ``--set``."""
        from axsim.runs.run import time_run
        from axsim.runs.sources import refuse_for_networks

        variants, overrides = self.variant or None, {**self.overrides, **network.keys}
        with network.told():
            result = time_run(
                self.workload,
                self.place,
                variants=variants,
                overrides=overrides,
                seed=self.seed,
                chat=chat,
            )
        refuse_for_networks([each.deployment for each in result], self.checkpoint)
        if not self.quiet:
            tell_ignored(result[0].workload)
            case = self.workload, self.place
            tell_idle(
                self.settings, [case], overrides, variants=variants, seed=self.seed, chat=chat
            )
        return result


@dataclass(frozen=True)
class DeploymentOptions:
    """One variant of a workload, its weights, and how its activations are quantised."""

    workload: WorkloadName
    variant: VariantName = None
    settings: Settings = field(default_factory=list)
    checkpoint: CheckpointFolder = None
    images: CalibrationFolder = None
    calibrate_on: CalibrateOnSeeded = None
    observer: Observer = ObserverName.minmax
    smooth_quant: SmoothQuant = False

    def deployed(
        self,
        chip: str,
        network: NetworkOptions = NO_NETWORK,
        *,
        of_folder: bool = False,
        timed: bool = True,
        quiet: bool = False,
    ) -> Deployment:
        """The variant on ``chip`` of a workload or an ONNX file, with ``of_folder`` also the model
        of a checkpoint's folder; the first one when none is named. The keys of ``network`` are set
        beside those of ``--set``. Keys that change nothing are told, ``timed`` when times count,
        unless ``quiet``."""
        from axsim.compiler.partition import Deployment
        from axsim.spec.chip import load_chip
        from axsim.spec.descriptor import parse_overrides, split_overrides
        from axsim.spec.from_checkpoint import workload_of
        from axsim.spec.workload import load_workload
        from axsim.system.network_names import check_names

        given = {**parse_overrides(self.settings), **network.keys}
        chip_keys, keys = split_overrides(given, "chip")
        is_folder = of_folder and Path(self.workload).is_dir()
        load = workload_of if is_folder else load_workload
        with network.told():
            if self.variant is None:
                chosen = next(iter(load(self.workload, keys).expand().values()))
            else:
                chosen = load(self.workload, keys, self.variant)
        deployment = Deployment(chosen, load_chip(chip, chip_keys))
        check_names(deployment)
        if not quiet:
            tell_ignored(chosen)
            source = workload_of(self.workload) if is_folder else self.workload
            variants = None if self.variant is None else [self.variant]
            tell_idle(self.settings, [(source, chip)], given, variants=variants, timed=timed)
        return deployment

    def weights(self, deployment: Deployment) -> tuple[Weights | None, bool]:
        """Those of the checkpoint or synthetic ones, None for a network, which has its own; and
        whether they are synthetic."""
        from axsim.runs.checkpoints import weights_of
        from axsim.runs.sources import refuse_for_networks

        if deployment.network is not None:
            refuse_for_networks([deployment], self.checkpoint)
            return None, deployment.network.is_stripped
        return weights_of(deployment, self.checkpoint), self.checkpoint is None

    def sources(self, text: Path | None = None) -> Sources:
        """What the numbers are made from; InputError when that contradicts itself."""
        return sources_of(self.checkpoint, self.images, text, self.observer, self.calibrate_on)


def tell_idle(
    settings: Sequence[str],
    cases: Sequence[Case],
    overrides: Mapping[str, object],
    *,
    timed: bool = True,
    **more: Any,
) -> None:
    """Says on stderr which keys of ``--set`` change nothing: of every command that takes it. The
    arguments are those of :func:`axsim.runs.no_effect.without_effect`."""
    if not settings and not more.get("vary"):
        return
    from axsim.runs.no_effect import without_effect, words
    from axsim.spec.descriptor import parse_overrides

    own = parse_overrides(settings)
    found = without_effect(cases, overrides, keys=list(own), timed=timed, **more)
    for line in words(found, own, timed=timed):
        typer.echo(f"note: {line}", err=True)


def tell_idle_keys(
    settings: Sequence[str],
    scenario: Scenario | str,
    places: Sequence[Place | None],
    overrides: Mapping[str, object],
    **more: Any,
) -> None:
    """The same of a scenario; ``more`` is as for
    :func:`axsim.runs.shared_no_effect.idle_keys`. A seed is told of as well."""
    from axsim.runs.no_effect import words
    from axsim.runs.shared_no_effect import idle_keys
    from axsim.spec.descriptor import parse_overrides

    own = parse_overrides(settings)
    own |= {key: overrides[key] for key in ("seed",) if key in overrides}
    if own or more.get("vary"):
        for line in words(idle_keys(scenario, places, overrides, keys=list(own), **more), own):
            typer.echo(f"note: {line}", err=True)


def tell_ignored(workload: Workload) -> None:
    """Names on stderr the keys of a build configuration of Pulsar2 that have no effect."""
    from axsim.spec.pulsar2 import read_pulsar2

    file = workload.build.pulsar2
    if file is not None and (ignored := read_pulsar2(file).ignored):
        say(f"note: {file}: without effect here: {', '.join(ignored)}", err=True)
