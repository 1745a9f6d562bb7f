"""The answer to ``axsim run --prompt``, token by token, with the time it would take the chip."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from axsim.cli.console import console

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from axsim.compiler.partition import Deployment
    from axsim.runtime.chat import Chat
    from axsim.runtime.results import RunResult, VariantResult
    from axsim.runtime.tokenizer import Tokens


class Answer:
    """What one variant answers: token ids, the text that each completes, and its arrival in ms
    after the picture (or, without one, the prompt) was there."""

    def __init__(self, variant: VariantResult, tokens: Tokens) -> None:
        from axsim.runtime.tokenizer import Stream

        self.name = variant.name
        self._first = variant.stages.image_to_first_token_ms
        self._step = variant.stages.token_ms
        self._stream = Stream(tokens)
        self.pieces: list[tuple[int, str, float]] = []

    def push(self, token: int) -> tuple[str, float]:
        """Take in the next token; its text and its arrival."""
        arrival = self._first + len(self.pieces) * self._step
        text = self._stream.push(token)
        self.pieces.append((token, text, arrival))
        return text, arrival

    @property
    def text(self) -> str:
        """The answer so far."""
        return "".join(text for _, text, _ in self.pieces)

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        pieces = [{"id": i, "text": text, "arrival_ms": ms} for i, text, ms in self.pieces]
        return {"text": self.text, "tokens": pieces}


def converse(
    timed: RunResult,
    checkpoint: Path | None,
    images: Path | None,
    chat: Chat,
    answers: Sequence[Answer],
    realtime: bool,
    shown: bool,
) -> RunResult:
    """Run the kernels of ``timed``, fill ``answers`` (one for each variant) and show them.

    Each token is a line with its simulated arrival as soon as it is computed; with ``realtime`` the
    text is shown when all is computed, at the pace of the chip.
    """
    from axsim.analysis.tables import heading, variants_table
    from axsim.runtime.run import run_kernels

    by_deployment = {id(v.deployment): answer for v, answer in zip(timed, answers, strict=True)}
    screen = console()
    if shown:
        screen.print(heading(timed))
        screen.print(variants_table(timed))

    def on_token(deployment: Deployment, token: int) -> None:
        answer = by_deployment[id(deployment)]
        text, arrival = answer.push(token)
        if shown and not realtime:
            if len(answer.pieces) == 1:
                screen.print(f"\n{answer.name}, ms after the start, token by token")
            screen.print(f"{arrival:10.1f}  {text!r}", soft_wrap=True)
            screen.file.flush()

    result = timed
    with screen.status("computing") as status:
        if not shown or not screen.is_terminal:
            status.stop()
        for reached in run_kernels(
            timed,
            checkpoint,
            lambda progress: status.update(
                f"{progress.label} {progress.done / progress.total:.0%}"
            ),
            chat,
            on_token,
            images,
        ):
            result = reached
    for variant, answer in zip(result, answers, strict=True):
        if not answer.pieces and variant.numerics is not None:
            for token in variant.numerics.tokens:  # the same numbers as another variant's
                answer.push(token)
    for answer in answers if shown else ():
        screen.print(f"\n{answer.name} answers")
        if realtime:
            _pace(answer)
        else:
            screen.print(answer.text, soft_wrap=True)
    return result


def _pace(answer: Answer) -> None:
    """Print an answer at the speed of the chip, beginning with the wait for its first token."""
    screen = console()
    start = time.perf_counter()
    for _, text, arrival in answer.pieces:
        time.sleep(max(0.0, start + arrival / 1e3 - time.perf_counter()))
        screen.print(text, end="", soft_wrap=True)
        screen.file.flush()
    screen.print()
