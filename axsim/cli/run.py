"""``axsim run``: the main job."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from axsim.cli.console import INTERRUPTED
from axsim.cli.options import (
    CalibrationFolder,
    CheckpointFolder,
    ChipName,
    JsonPath,
    Quiet,
    Settings,
    TimingOnly,
    Variants,
    WorkloadName,
)
from axsim.cli.run_plot import PlotKind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from axsim.cli.answer import Answer
    from axsim.inputs.chat import Chat
    from axsim.runs.results import RunResult


def run(
    workload: WorkloadName,
    chip: ChipName,
    variant: Variants = [],  # noqa: B006
    settings: Settings = [],  # noqa: B006
    seed: Annotated[
        Optional[int],  # noqa: UP045  (typer evaluates annotations on Python 3.10 as well)
        typer.Option(min=0, metavar="N", help="Seed of pixels, prompt, weights and sampling."),
    ] = None,
    checkpoint: CheckpointFolder = None,
    prompt: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(metavar="TEXT", help="Ask this, and show the answer (needs --checkpoint)."),
    ] = None,
    image: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(metavar="FILE", help="A picture that the prompt is about."),
    ] = None,
    images: CalibrationFolder = None,
    dynamic_tiling: Annotated[
        bool,
        typer.Option(
            "--dynamic-tiling",
            help="Cut the picture into tiles as InternVL was trained; the vendor's hosts use one.",
        ),
    ] = False,
    realtime: Annotated[
        bool, typer.Option("--realtime", help="Show the answer at the speed of the chip.")
    ] = False,
    timing_only: TimingOnly = False,
    json_path: JsonPath = None,
    csv_path: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option("--csv", metavar="FILE", help="Write one row per variant; - is stdout."),
    ] = None,
    trace: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(metavar="FILE", help="Write a Chrome trace for Perfetto (.json or .json.gz)."),
    ] = None,
    plot: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(metavar="FILE", help="Draw a picture (.png, .svg, .pdf)."),
    ] = None,
    plot_kind: Annotated[
        PlotKind,
        typer.Option(
            "--plot-kind",
            help="Latency of every variant in bars; or, of the first variant: operators under the "
            "roofline, what each engine does when, DRAM bandwidth over time.",
        ),
    ] = PlotKind.latency,
    plot_stage: Annotated[
        list[str],
        typer.Option(
            "--plot-stage",
            metavar="STAGE",
            show_default=False,
            help="Only this stage in the picture (vision, prefill, decode, post); may be repeated.",
        ),
    ] = [],  # noqa: B006
    quiet: Quiet = False,
) -> None:
    """Simulate a workload on a chip: how fast, why, and how accurate.

    Shows each variant's vision encode time, TTFT, image to first token, decode speed, memory and
    similarity to float32, with the measured value where one is published, then where the time of
    the (first) variant goes. The ranges of U8 and U16 activations come from --images, else from the
    picture of --image, which they fit better than they would another one, else from a seeded one.
    """
    from axsim.cli.answer import Answer, converse
    from axsim.cli.run_plot import check_picture, draw
    from axsim.cli.screen import Screen
    from axsim.errors import InputError
    from axsim.files import check_writable
    from axsim.runs.run import run_kernels, time_run
    from axsim.show.tables import misfits
    from axsim.spec.descriptor import parse_overrides

    for path in (json_path, csv_path, trace):
        check_writable(path)
    check_picture(plot)
    if plot_stage and plot_kind is PlotKind.latency:
        raise typer.BadParameter("--plot-stage is for the other kinds of --plot-kind")
    to_stdout = [str(path) for path in (json_path, csv_path, trace) if str(path) == "-"]
    if len(to_stdout) > 1:
        raise typer.BadParameter("only one of --json, --csv and --trace can be -")
    if images is not None and timing_only:
        raise InputError("--images calibrates the kernels, which --timing-only leaves out")
    chat = None
    if prompt is not None or image is not None or realtime or dynamic_tiling:
        chat = _chat(checkpoint, prompt, image, dynamic_tiling, timing_only)
    screen = Screen(quiet=quiet or bool(to_stdout))
    interrupted = False
    try:
        result = time_run(
            workload,
            chip,
            variants=variant or None,
            overrides=parse_overrides(settings),
            seed=seed,
            chat=chat,
        )
    except KeyboardInterrupt:
        raise typer.Exit(INTERRUPTED) from None
    if plot is not None:
        draw(result, plot, plot_kind, plot_stage)
    answers: list[Answer] = []
    if not timing_only:
        for line in misfits(result):
            typer.echo(f"warning: {line}", err=True)
    if timing_only:
        screen.timing(result)
    elif chat is not None:
        answers = [Answer(each, chat.tokens) for each in result]
        try:
            result = converse(result, checkpoint, images, chat, answers, realtime, screen.shows)
        except KeyboardInterrupt:
            interrupted = True
    else:
        try:
            with screen.running(result) as shown:
                for reached in run_kernels(result, checkpoint, shown.progress, images=images):
                    result = reached
                    shown.update(reached)
        except KeyboardInterrupt:
            interrupted = True
    screen.details(result)
    _write(result, answers, json_path, csv_path, trace)
    if interrupted:
        typer.echo("interrupted: the variants without cosine were not finished", err=True)
        raise typer.Exit(INTERRUPTED)


def _chat(
    checkpoint: Path | None,
    prompt: str | None,
    image: Path | None,
    dynamic_tiling: bool,
    timing_only: bool,
) -> Chat:
    from axsim.errors import InputError
    from axsim.inputs.chat import Chat

    if prompt is None:
        raise InputError("--image, --dynamic-tiling and --realtime need a question: --prompt TEXT")
    if checkpoint is None:
        raise InputError("--prompt needs a model that was trained: --checkpoint DIR")
    if timing_only:
        raise InputError("--prompt needs the kernels, which --timing-only leaves out")
    if dynamic_tiling and image is None:
        raise InputError("--dynamic-tiling cuts a picture: --image FILE")
    return Chat(checkpoint, prompt, image, dynamic_tiling)


def _write(
    result: RunResult,
    answers: Sequence[Answer],
    json_path: Path | None,
    csv_path: Path | None,
    trace: Path | None,
) -> None:
    from axsim.files import write_csv, write_json

    if json_path is not None:
        document = result.to_dict()
        for variant, answer in zip(document["variants"], answers, strict=False):
            variant["answer"] = answer.to_dict()
        write_json(document, json_path)
    if csv_path is not None:
        write_csv(result.to_rows(), csv_path)
    if trace is not None:
        from axsim.show.trace import write_trace

        write_trace(result, trace)
