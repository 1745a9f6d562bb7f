"""``axsim report``: a run as a page to read, send and print."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from axsim.cli.command import Command
from axsim.cli.options import NetworkOptions, RunOptions, tell_idle_keys
from axsim.cli.question_options import QuestionOptions
from axsim.cli.terminal.console import INTERRUPTED, say
from axsim.cli.terminal.outputs import will_write, written_as

if TYPE_CHECKING:
    from axsim.cli.terminal.screen import Screen
    from axsim.runs.results import RunResult
    from axsim.runs.sources import Sources


def report(
    options: RunOptions,
    network: NetworkOptions,
    question: QuestionOptions,
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE.html",
            callback=written_as(".html", ".htm"),
            help="The page; - is stdout.",
        ),
    ] = Path("report.html"),
) -> None:
    """Simulate a workload or a scenario and write a page about it.

    The answer and what limits it, every variant, where the time goes, a timeline to zoom into,
    memory, how well this chip is predicted, and every assumption with its source; of a scenario
    what becomes of each tenant's requests, and how busy the chip is. The page loads nothing from
    anywhere.
    """
    from axsim.cli.terminal.answer import Answer
    from axsim.cli.terminal.conversation import converse
    from axsim.cli.terminal.screen import Screen
    from axsim.errors import InputError
    from axsim.runs.run import check_sources
    from axsim.show.report.content import gather
    from axsim.show.report.write import command_line, with_seed, write
    from axsim.spec.kinds import kind_of

    will_write(output)
    if kind_of(options.workload, ("workload", "scenario"))[0] == "scenario":
        if question.words:
            raise InputError(f"{question.words[0]} is for workloads: a scenario's requests ask")
        _of_scenario(options, output)
        return
    options.check()
    screen = Screen(quiet=options.quiet or str(output) == "-")
    interrupted = False
    chat, sources = question.asked(options)
    answers: list[Answer] = []
    try:
        result = options.timed(network, chat)
        if options.timing_only:
            screen.timing(result)
        else:
            check_sources(result, sources, chat)
            if chat is not None:
                answers = [Answer(each, chat.tokens) for each in result]
                result = converse(result, sources, chat, answers, False, screen.shows)
            else:
                result, interrupted = _with_kernels(result, sources, screen)
    except KeyboardInterrupt:
        raise typer.Exit(INTERRUPTED) from None
    keys = with_seed({**options.overrides, **network.keys}, options.seed)
    command = command_line(
        options.workload,
        options.place,
        options.variant,
        keys,
        options.timing_only,
        sources,
        question.words,
    )
    found = gather(result, options.workload, options.place, keys, command)
    texts = {each.name: each.text for each in answers}
    write(replace(found, question=question.prompt or "", answers=texts), output)
    if screen.shows:
        say(f"{output}: {output.stat().st_size / 1e6:.2f} MB")
    if interrupted:
        typer.echo("interrupted: the variants without cosine were not finished", err=True)
        raise typer.Exit(INTERRUPTED)
    options.check_fit(result)


def _with_kernels(result: RunResult, sources: Sources, screen: Screen) -> tuple[RunResult, bool]:
    """The result with what the kernels computed, and whether Ctrl-C ended them early."""
    from axsim.runs.run import run_kernels

    try:
        with screen.running(result) as shown:
            for reached in run_kernels(result, sources, shown.progress):
                result = reached
                shown.update(reached)
    except KeyboardInterrupt:
        return result, True
    return result, False


def _of_scenario(options: RunOptions, output: Path) -> None:
    """The page of a scenario."""
    from axsim.cli.terminal.share import percent_bar
    from axsim.runs.shared_run import prepared, simulated
    from axsim.show.report.scenario_page import write_scenario
    from axsim.show.report.write import command_line, with_seed

    shows = not options.quiet and str(output) != "-"
    keys = with_seed(options.overrides, options.seed, "seed")
    try:
        with percent_bar(shows) as on_progress:
            loaded = prepared(options.workload, options.place, keys)
            result = simulated(*loaded, costs=True, on_progress=on_progress)
    except KeyboardInterrupt:
        raise typer.Exit(INTERRUPTED) from None
    if not options.quiet:
        tell_idle_keys(options.settings, options.workload, [options.place], keys, found=result)
    command = command_line(options.workload, options.place, (), keys)
    write_scenario(result, output, command)
    if shows:
        say(f"{output}: {output.stat().st_size / 1e6:.2f} MB")


REPORT = Command(
    "report",
    report,
    """
    axsim report internvl2_1b --chip ax630c -o report.html
    axsim report camera_answers --chip ax630c -o camera.html
    axsim report mine.yaml --chip ax650n --timing-only --set build.prefill_chunk=256
    """,
    place=3,
)
