"""A build on the terminal: a line for each file in the manner of the vendor's tools, and how far it
is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from axsim.cli.terminal.console import INTERRUPTED, console

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import Console

    from axsim.axmodel.build import Build, Part
    from axsim.axmodel.check import Check
    from axsim.models.weights import Weights

    Advance: TypeAlias = Callable[[str], None]

_WHAT = {"vision": "vision part", "layer": "decode layers", "post": "post layer", "network": ""}


def make(
    build: Build,
    weights: Weights | None,
    checkpoint: Path | None,
    folder: Path,
    check: bool,
    quiet: bool,
) -> None:
    """Write and compare every file of a build, then what lies beside them. The ``folder`` is there
    (:func:`axsim.cli.terminal.outputs.filling`).

    Raises:
        InputError: the folder cannot be written.
        Exit: interrupted; what was finished stays.
    """
    import typer

    from axsim.axmodel.check import Check
    from axsim.cli.terminal.outputs import outlive_readers
    from axsim.errors import InputError

    outlive_readers()
    out = console()

    def say(line: str) -> None:
        if not quiet:
            out.print(line, soft_wrap=True)

    deployment, parts = build.deployment, build.parts
    say(f"{deployment.workload.name} for {deployment.chip.name}, {deployment.mode.name}")
    cycles, macs = _work(build)
    say(f"macs: {macs:,}   max_cycle = {cycles:,}")
    say(deployment.memory.verdict)
    compared = Check(build, weights) if check else None
    try:
        with _bar(out, quiet, len(parts) + 1) as advance:
            for index, part in enumerate(parts):
                advance(f"building {_WHAT[part.part] or part.file}")
                say(_line(build, part, folder, compared, index))
            advance("embedding table, tokenizer, configuration")
            if weights is not None and deployment.model.decoder is not None:
                _beside(build, weights, checkpoint, folder, say)
    except KeyboardInterrupt:
        typer.echo("interrupted: the same command goes on from here", err=True)
        raise typer.Exit(INTERRUPTED) from None
    except OSError as error:
        raise InputError(f"cannot write to {folder}: {error.strerror or error}") from None
    say(f"build model done: {len(parts)} files in {folder}")
    is_network = deployment.workload.model.onnx is not None
    if build.network.synthetic if is_network else checkpoint is None:
        say("on synthetic weights: what the arithmetic loses, not a trained model's loss")


def _line(build: Build, part: Part, folder: Path, check: Check | None, index: int) -> str:
    """Build one file; what to say of it."""
    made = build.write(part, folder)
    path = folder / part.file
    text = f"{index + 1:3}/{len(build.parts)} {part.file:<38} {path.stat().st_size / 1e6:7.1f} MB"
    if check is not None:
        text += f"  cos_sim {check.cosine(part, path):.6f}"
    return text if made else f"{text}  kept"


def _beside(
    build: Build, weights: Weights, checkpoint: Path | None, folder: Path, say: Advance
) -> None:
    """The embedding table, and tokenizer and configuration."""
    from axsim.axmodel.companions import copy_described, write_config, write_table

    decoder = build.deployment.model.decoder
    assert decoder is not None
    written = write_table(weights, decoder, folder, lambda rows: None)
    written += (
        [write_config(build.deployment.model, folder)]
        if checkpoint is None
        else copy_described(checkpoint, folder)
    )
    lead = " " * len(f"{0:3}/{len(build.parts)}")
    for path in written:
        say(f"{lead} {path.name:<38} {path.stat().st_size / 1e6:7.1f} MB")


def _work(build: Build) -> tuple[int, int]:
    """Cycles at the compiler's nominal clock, and multiply-accumulates, of each file once."""
    from axsim.machine.npu import Npu

    deployment, npu = build.deployment, Npu()
    of = {"vision": deployment.vision, "network": deployment.graph}
    us = macs = 0.0
    for part in build.parts:
        subgraph = of.get(part.part)
        if subgraph is None:
            subgraph = deployment.post if part.part == "post" else deployment.decode
        us += npu.run(subgraph.program).duration_us
        macs += sum(step.macs for segment in subgraph.program.segments for step in segment.steps)
    return round(us * deployment.chip.calibrated.clock_mhz), round(macs)


@contextmanager
def _bar(out: Console, quiet: bool, total: int) -> Iterator[Advance]:
    """A progress bar with the time left below what ``out`` prints, on a terminal; told what is
    begun."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
    from rich.progress import TimeRemainingColumn as Left

    if quiet or not out.is_terminal:
        yield lambda label: None
        return
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), Left()
    with Progress(*columns, console=out, transient=True) as bar:
        task = bar.add_task("", total=total)
        begun = 0

        def advance(label: str) -> None:
            nonlocal begun
            bar.update(task, completed=begun, description=label)
            begun += 1

        yield advance
