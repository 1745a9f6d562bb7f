"""``axsim run``: the main job."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from axsim.cli.command import Command
from axsim.cli.options import CutNetworkOptions, JsonPath, RunOptions
from axsim.cli.question_options import QuestionOptions
from axsim.cli.terminal.console import INTERRUPTED, say
from axsim.cli.terminal.outputs import will_write, written_as
from axsim.cli.terminal.run_plot import PlotKind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from axsim.cli.terminal.answer import Answer
    from axsim.runs.results import RunResult


def run(
    options: RunOptions,
    network: CutNetworkOptions,
    question: QuestionOptions,
    realtime: Annotated[
        bool, typer.Option("--realtime", help="Show the answer at the speed of the chip.")
    ] = False,
    json_path: JsonPath = None,
    csv_path: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(
            "--csv",
            metavar="FILE",
            callback=written_as(".csv"),
            help="Write one row per variant; - is stdout.",
        ),
    ] = None,
    trace: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(
            metavar="FILE",
            callback=written_as(".json"),
            help="Write a Chrome trace for Perfetto (.json or .json.gz).",
        ),
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
) -> None:
    """Simulate a workload on a chip: how fast, why, and how accurate.

    Shows each variant's vision encode time, TTFT, image to first token, decode speed, memory and
    similarity to float32, with the measured value where one is published, then where the time of
    the (first) variant goes. A checkpoint's decoder reads a text besides (--text, or a page that
    comes with axsim): perplexity, divergence and agreement with float32. The ranges of U8 and U16
    activations come from --images, else from the picture of --image; else, for synthetic weights,
    from a seeded one. A network from an ONNX file takes pictures as build.preprocess or --pulsar2
    says: RGB, 0 to 1 and stretched when neither does.
    """
    from axsim.cli.terminal.answer import Answer
    from axsim.cli.terminal.conversation import converse
    from axsim.cli.terminal.run_plot import check_picture, draw
    from axsim.cli.terminal.screen import Screen
    from axsim.runs.run import check_sources, run_kernels
    from axsim.show.tables import misfits

    will_write(json_path, csv_path, trace, plot)
    check_picture(plot)
    if plot is None and (plot_stage or plot_kind is not PlotKind.latency):
        raise typer.BadParameter("--plot-kind and --plot-stage are for a picture: --plot FILE")
    if plot_stage and plot_kind is PlotKind.latency:
        raise typer.BadParameter("--plot-stage is for the other kinds of --plot-kind")
    to_stdout = [str(path) for path in (json_path, csv_path, trace) if str(path) == "-"]
    if len(to_stdout) > 1:
        raise typer.BadParameter("only one of --json, --csv and --trace can be -")
    options.check()
    chat, sources = question.asked(options, realtime)
    screen = Screen(quiet=options.quiet or bool(to_stdout))
    interrupted = False
    try:
        result = options.timed(network, chat)
        if not options.timing_only:
            check_sources(result, sources, chat)
    except KeyboardInterrupt:
        raise typer.Exit(INTERRUPTED) from None
    if plot is not None:
        draw(result, plot, plot_kind, plot_stage)
    answers: list[Answer] = []
    if not options.timing_only:
        for line in misfits(result, options.board or ""):
            say(f"warning: {line}", err=True)
    if options.timing_only:
        screen.timing(result)
    elif chat is not None:
        answers = [Answer(each, chat.tokens) for each in result]
        try:
            result = converse(result, sources, chat, answers, realtime, screen.shows)
        except KeyboardInterrupt:
            interrupted = True
    else:
        try:
            with screen.running(result) as shown:
                for reached in run_kernels(result, sources, shown.progress):
                    result = reached
                    shown.update(reached)
        except KeyboardInterrupt:
            interrupted = True
    screen.details(result)
    _write(result, answers, json_path, csv_path, trace)
    if interrupted:
        typer.echo("interrupted: the variants without cosine were not finished", err=True)
        raise typer.Exit(INTERRUPTED)
    options.check_fit(result)


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


RUN = Command(
    "run",
    run,
    """
    axsim run internvl2_1b --chip ax630c
    axsim run internvl2_1b --chip ax650n --variant 448-u16 --trace trace.json.gz
    axsim run internvl2_1b --chip ax630c --timing-only --plot timeline.png --plot-kind timeline
    axsim run mine.yaml --chip ax630c --checkpoint DIR --image dog.jpg --prompt "What is it?"
    axsim run mine.yaml --chip ax630c --timing-only --json - --set build.prefill_chunk=256
    axsim run detector.onnx --chip ax650n --pulsar2 config.json --image street.jpg
    """,
    place=1,
)
