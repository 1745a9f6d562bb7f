"""An answer shown at the speed of the chip, while it is still being computed.

The show begins as soon as no token should come late: where this machine is slower than the chip,
some of the answer is computed first.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue
from typing import TYPE_CHECKING, TypeAlias

from axsim.cli.terminal.console import console

if TYPE_CHECKING:
    from axsim.cli.terminal.answer import Answer, Piece, Show
    from axsim.runs.results import RunResult

Pieces: TypeAlias = "SimpleQueue[Piece]"

MARGIN = 1.2
"""Steps still to be computed are taken to last this much longer than those before."""
GRACE_S = 0.1
"""A token that comes so much late is hardly noticed."""


def in_real_time(
    timed: RunResult,
    answers: Sequence[Answer],
    compute: Callable[[Show, Callable[[], None]], RunResult],
    begin: Callable[[], None],
) -> RunResult:
    """Show the ``answers`` to ``timed`` while a thread computes them; what it computed.

    ``compute(show, go_on)`` tells each piece to ``show`` and calls ``go_on`` often, which ends it
    after Ctrl-C. ``begin`` is called before something is shown.
    """
    screen = console()
    queues: dict[int, Pieces] = {id(answer): SimpleQueue() for answer in answers}
    cancelled = False

    def show(answer: Answer, piece: Piece) -> None:
        queues[id(answer)].put(piece)

    def close(_: object) -> None:
        """Whatever ends the computation also ends every answer that waits for a token."""
        for each in queues.values():
            each.put(None)

    def go_on() -> None:
        if cancelled:
            raise KeyboardInterrupt

    def write(text: str) -> None:
        screen.print(text, end="", soft_wrap=True)
        screen.file.flush()

    with ThreadPoolExecutor(1) as thread:
        future = thread.submit(compute, show, go_on)
        future.add_done_callback(close)
        try:
            for variant, answer in zip(timed, answers, strict=True):
                pieces, due_ms = queues[id(answer)], variant.arrivals_ms[-1]
                ready = computed_ahead(pieces, variant.workload.new_tokens, due_ms / 1e3)
                if future.done() and future.exception() is not None:
                    break
                begin()
                screen.print(f"\n{answer.name} answers")
                held_up = replay(ready, pieces, write)
                screen.print()
                if held_up:
                    why = "this machine computes slower than the chip"
                    screen.print(f"(held up for {held_up:.1f} s: {why})", style="dim")
        except BaseException:
            cancelled = True
            raise
        return future.result()


def computed_ahead(pieces: Pieces, budget: int, last_due_s: float) -> deque[Piece]:
    """Wait until the show can begin; the pieces that came meanwhile."""
    ready: deque[Piece] = deque()
    computed: list[float] = []
    while not can_begin(computed, budget, last_due_s):
        ready.append(pieces.get())
        computed.append(time.perf_counter())
        if ready[-1] is None:
            break
    return ready


def can_begin(computed_s: Sequence[float], budget: int, last_due_s: float) -> bool:
    """Whether an answer that begins now will not have to wait for a token.

    ``computed_s``: when each token so far was computed; ``budget``: how many there may be;
    ``last_due_s``: when the last of them is to be shown, from the beginning. Steps are even, so
    that no other token is late when the last one is not.
    """
    left = budget - len(computed_s)
    if left <= 0:
        return True
    if len(computed_s) < 3:
        return False
    step = (computed_s[-1] - computed_s[0]) / (len(computed_s) - 1)
    return left * step * MARGIN <= last_due_s


def replay(ready: deque[Piece], pieces: Pieces, write: Callable[[str], None]) -> float:
    """Give ``write`` each text at its arrival, the wait for the first one included: those that are
    ``ready``, then those still to come. Returns by how many seconds it was held up by tokens that
    were not computed in time."""
    start, held_up = time.perf_counter(), 0.0
    while (piece := ready.popleft() if ready else pieces.get()) is not None:
        text, arrival_ms = piece
        early = start + held_up + arrival_ms / 1e3 - time.perf_counter()
        if early > 0:
            time.sleep(early)
        elif early < -GRACE_S:
            held_up -= early
        write(text)
    return held_up
