"""A question put to every variant, and its answers on the terminal as they are computed."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from axsim.cli.terminal.console import console
from axsim.cli.terminal.realtime import in_real_time

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rich.console import Console

    from axsim.cli.terminal.answer import Answer, Piece, Show
    from axsim.compiler.partition import Deployment
    from axsim.inputs.chat import Chat
    from axsim.runs.progress import OnProgress, Progress
    from axsim.runs.results import RunResult
    from axsim.runs.sources import Sources


def converse(
    timed: RunResult,
    sources: Sources,
    chat: Chat,
    answers: Sequence[Answer],
    realtime: bool,
    shown: bool,
) -> RunResult:
    """Run the kernels of ``timed``, fill ``answers`` (one for each variant) and show them.

    Each token is a line with its simulated arrival as soon as it is computed; with ``realtime`` the
    text comes at the pace of the chip.
    """
    from axsim.show.tables import heading, variants_table

    screen = console()
    if shown:
        screen.print(heading(timed))
        screen.print(variants_table(timed))
    with screen.status("computing") as status:
        if not shown or not screen.is_terminal:
            status.stop()

        def compute(show: Show, go_on: Callable[[], None] = lambda: None) -> RunResult:
            def on_progress(progress: Progress) -> None:
                go_on()
                status.update(f"{progress.label} {progress.done / progress.total:.0%}")

            return _compute(timed, sources, chat, answers, on_progress, show)

        if shown and realtime:
            return in_real_time(timed, answers, compute, status.stop)
        result = compute(partial(_line, screen) if shown else _nothing)
    for answer in answers if shown else ():
        screen.print(f"\n{answer.name} answers")
        screen.print(answer.text, soft_wrap=True)
    return result


def _compute(
    timed: RunResult,
    sources: Sources,
    chat: Chat,
    answers: Sequence[Answer],
    on_progress: OnProgress,
    show: Show,
) -> RunResult:
    """Run the kernels; each token goes to its answer and to ``show``, and None at its end."""
    from axsim.runs.run import run_kernels

    by_deployment = {id(v.deployment): answer for v, answer in zip(timed, answers, strict=True)}

    def on_token(deployment: Deployment, token: int, arrival_ms: float) -> None:
        answer = by_deployment[id(deployment)]
        show(answer, answer.push(token, arrival_ms))

    result, ended = timed, 0
    for result in run_kernels(timed, sources, on_progress, chat, on_token):
        for variant, answer in list(zip(result, answers, strict=True))[ended:]:
            if variant.numerics is None:
                break
            if not answer.pieces:  # the same numbers as another variant's
                for token in variant.tokens:
                    on_token(variant.deployment, *token)
            show(answer, None)
            ended += 1
    return result


def _nothing(answer: Answer, piece: Piece) -> None:
    pass


def _line(screen: Console, answer: Answer, piece: Piece) -> None:
    """Print a token as a line of its own."""
    if piece is None:
        return
    text, arrival = piece
    if len(answer.pieces) == 1:
        screen.print(f"\n{answer.name}, ms after the start, token by token")
    screen.print(f"{arrival:10.1f}  {text!r}", soft_wrap=True)
    screen.file.flush()
