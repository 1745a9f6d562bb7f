"""``axsim precision``: operators beside float32, worst first, and what to lift to U16."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer

from axsim.cli.command import Command
from axsim.cli.options import DeploymentOptions, NetworkOptions
from axsim.cli.source_options import TextFile

if TYPE_CHECKING:
    from collections.abc import Sequence

    from axsim.compiler.partition import Deployment
    from axsim.numerics.comparison import Precision
    from axsim.numerics.likelihood import TextScore
    from axsim.study.lifting import Lift

TYPE = 14
"""Characters of an operator's type that are shown."""
LEAST = 20
"""Characters that its name has at least."""


def precision(
    options: DeploymentOptions,
    network: NetworkOptions,
    text: TextFile = None,
    per_layer: Annotated[
        bool,
        typer.Option(
            "--per-layer",
            help="Give every operator float32 inputs: each row shows its own error alone.",
        ),
    ] = False,
    target: Annotated[
        Optional[float],  # noqa: UP045
        typer.Option(
            min=0, max=1, help="Propose what to lift to U16 for this cosine of the output."
        ),
    ] = None,
    chip: Annotated[
        str, typer.Option(metavar="CHIP", help="The chip whose milliseconds the lift is to save.")
    ] = "ax650n",
    output: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option("--output", "-o", metavar="FILE", help="Write every row (.csv or .json)."),
    ] = None,
    rows: Annotated[
        int, typer.Option(min=0, metavar="N", help="Operators to show; 0 shows all.")
    ] = 20,
) -> None:
    """Compare operators with float32; propose what to lift to U16.

    The worst first. Errors build up from the pixels to the logits, as on the chip, unless
    --per-layer; below the operators stand the ends as the run computes them, and how well a
    checkpoint's decoder predicts a text (--text, or a page that comes with axsim). With --target,
    the activations of a U8 vision part or network that reach it in U16 at the least predicted
    milliseconds; the cosine told is that of a run with just these lifted.
    """
    from axsim.cli.terminal.console import console
    from axsim.cli.terminal.outputs import will_write
    from axsim.cli.terminal.steps_bar import Steps, read_text
    from axsim.errors import InputError
    from axsim.runs.network_inputs import fed
    from axsim.runs.network_numbers import observer_of
    from axsim.runs.run_pictures import RunPictures
    from axsim.runs.text_source import open_passage
    from axsim.show.text_table import text_heading, text_table
    from axsim.study.lifting import lift as lift_to
    from axsim.study.precision import Analysis

    will_write(output)
    if output is not None and output.suffix not in (".csv", ".json"):
        raise InputError(f"{output} has no known format; allowed: .csv, .json")
    deployment = options.deployed(chip, network, timed=target is not None)
    build = deployment.workload.build
    if target is not None and (deployment.encoder is None or build.vision_dtype != "u8"):
        raise InputError("--target proposes what to lift from U8: the workload has no U8 vision")
    sources = options.sources(text)
    weights, synthetic = options.weights(deployment)
    pictures = RunPictures([deployment], sources)
    pixels: Any = None if deployment.model.vision is None else pictures.of(deployment)
    if deployment.network is not None:
        pixels = fed(deployment, sources)
    passage, not_judged = open_passage([deployment], sources)
    with Steps() as steps:
        analysis = Analysis(
            deployment,
            weights,
            pixels,
            observer_of(deployment, sources),
            options.smooth_quant,
            per_layer,
            steps.update,
        )
        found, ends = analysis.operators(), analysis.ends()
        score = None
        if passage is not None and weights is not None and not per_layer:
            score = read_text(deployment, weights, passage, steps)
        lift = None if target is None else lift_to(analysis, target, steps.update)
    _show(found, ends, rows)
    if ends and deployment.model.vision is not None and deployment.workload.images:
        console().print(f"vision output: {pictures.compared_on(deployment)}")
    if synthetic:
        console().print(
            "on synthetic weights: what the arithmetic loses, not a trained model's loss"
        )
    if score is not None and passage is not None:
        console().print(f"\n{text_heading(score.tokens, passage.name)}")
        console().print(text_table([(options.variant or deployment.workload.label, score)]))
    elif not_judged is not None and weights is not None:
        console().print(f"not judged on a text: {not_judged}", soft_wrap=True)
    if lift is not None:
        _show_lift(lift, deployment)
    if output is not None:
        time = "vision_encode_ms" if deployment.network is None else "graph_ms"
        _write(output, found, ends, lift, score, time)


def _show(found: Sequence[Precision], ends: Sequence[Precision], count: int) -> None:
    from rich.table import Table

    from axsim.cli.terminal.console import console
    from axsim.errors import abridged
    from axsim.numerics.comparison import worst_first

    screen = console()
    worst = worst_first(found)
    shown = worst[:count] if count else worst
    rows = [*shown, *ends]
    others = [
        (
            abridged(row.op, TYPE),
            "×".join(map(str, row.shape)),
            row.dtype,
            f"{row.cosine:.6f}",
            f"{row.sqnr_db:.1f}",
            f"{row.max_error:.3g}",
        )
        for row in rows
    ]
    headings = ("type", "shape", "dtype", "cosine", "SQNR dB", "max error")
    taken = sum(1 + max(map(len, column)) for column in zip(headings, *others, strict=True))
    room = max(LEAST, screen.width - taken)
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), collapse_padding=True)
    table.add_column("operator", no_wrap=True, min_width=LEAST)
    for heading in headings[:3]:
        table.add_column(heading, no_wrap=heading != "shape", overflow="fold")
    for heading in headings[3:]:
        table.add_column(heading, justify="right", no_wrap=True)
    for row, cells in zip(rows, others, strict=True):
        if ends and row is ends[0]:
            table.add_row("")
        table.add_row(abridged(row.node, room), *cells)
    screen.print(table)
    if any(len(row.node) > room for row in rows):
        screen.print("names that begin with … are whole in --output, or with COLUMNS=160")
    hidden = len(worst) - len(shown)
    if hidden:
        screen.print(f"… and {hidden} operators with a better signal to noise; --rows 0 shows all")


def _show_lift(lift: Lift, deployment: Deployment) -> None:
    from axsim.cli.terminal.console import console

    screen = console()
    screen.print()
    proposal, chip = lift.proposal, deployment.chip.name
    if not proposal.patterns:
        screen.print(f"nothing to lift: cosine {proposal.similarity:.6f} reaches {lift.target:g}")
        return
    is_network = deployment.network is not None
    what, how_long = ("output", "graph_ms") if is_network else ("vision output", "vision encode")
    if proposal.met:
        screen.print(f"For a cosine of {lift.target:g} of the {what}, lift to U16:")
    else:
        screen.print(f"U16 alone does not reach a cosine of {lift.target:g}; the most it gives:")
    patterns = ", ".join(f'"{p}": u16' for p in proposal.patterns)
    screen.print(f"  build.precision_overrides: {{{patterns}}}", soft_wrap=True)
    screen.print(
        f"cosine {proposal.similarity:.6f}; {how_long} on {chip}, predicted: "
        f"{lift.before_ms:.4g} ms as built, {lift.after_ms:.4g} ms so lifted, "
        f"{lift.u16_ms:.4g} ms all in U16"
    )


def _write(
    path: Path,
    found: Sequence[Precision],
    ends: Sequence[Precision],
    lift: Lift | None,
    score: TextScore | None,
    time: str,
) -> None:
    from axsim.files import write_csv, write_json
    from axsim.numerics.comparison import worst_first

    operators = [_plain(row) for row in worst_first(found)]
    if path.suffix == ".csv":
        write_csv([*operators, *map(_plain, ends)], path)
        return
    document: dict[str, Any] = {"operators": operators, "ends": [_plain(row) for row in ends]}
    if score is not None:
        document["text"] = score.to_dict()
    if lift is not None:
        document["proposal"] = {
            "target": lift.target,
            "met": lift.proposal.met,
            "precision_overrides": lift.proposal.overrides,
            "cosine": lift.proposal.similarity,
            time: lift.before_ms,
            f"lifted_{time}": lift.after_ms,
            f"u16_{time}": lift.u16_ms,
        }
    write_json(document, path)


def _plain(row: Precision) -> dict[str, Any]:
    """A row for files; what is infinite (the signal to noise of equal tensors) or no number is
    None."""
    from math import isfinite

    figures = {"cosine": row.cosine, "sqnr_db": row.sqnr_db, "max_error": row.max_error}
    return {
        "operator": row.node,
        "type": row.op,
        "tensor": row.tensor,
        "shape": json.dumps(row.shape),
        "dtype": row.dtype,
        **{name: value if isfinite(value) else None for name, value in figures.items()},
    }


PRECISION = Command(
    "precision",
    precision,
    """
    axsim precision internvl2_1b --variant 224-u8
    axsim precision mine.yaml --checkpoint DIR --images photos --target 0.99 -o rows.csv
    """,
    place=7,
)
