"""What is being done now, and how long a text still takes; on a terminal alone."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING

from axsim.cli.terminal.console import console

if TYPE_CHECKING:
    from axsim.compiler.partition import Deployment
    from axsim.inputs.passage import Passage
    from axsim.models.weights import Weights
    from axsim.numerics.likelihood import TextScore


class Steps:
    """A line that says what is being done, with a bar where it is known how much is left."""

    def __init__(self) -> None:
        from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn
        from rich.progress import TimeRemainingColumn as Left

        screen = console()
        columns = SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), Left()
        shown = screen.is_terminal
        self._bar = Progress(*columns, console=screen, transient=True, disable=not shown)
        self._task = self._bar.add_task("reading weights", total=None)

    def __enter__(self) -> Steps:
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.stop()

    def update(self, step: str) -> None:
        """Something else is done now; nobody knows how long it takes."""
        self._bar.reset(self._task, description=step, total=None)

    def begin(self, step: str, total: float) -> None:
        """A step of ``total`` units of work."""
        self._bar.reset(self._task, description=step, total=total)

    def advance(self, work: float) -> None:
        """So much of the step is done."""
        self._bar.advance(self._task, work)


def read_text(
    deployment: Deployment, weights: Weights, passage: Passage, steps: Steps
) -> TextScore:
    """The deployed decoder judged on a text."""
    from axsim.runs.judge import Judge
    from axsim.runs.reference import Recent
    from axsim.runs.stock import decoder_weights

    judge = Judge(passage, lambda macs, kind: steps.advance(macs))
    steps.begin(f"reading {passage.name}", 2 * sum(judge.macs(deployment)))
    kept = Recent(weights)
    return judge.score(deployment, kept, decoder_weights(deployment, kept))
