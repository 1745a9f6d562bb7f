"""The application object: the list of commands and the one place where input errors end."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from axsim.cli import (
    calibrate,
    chips,
    compare,
    explain,
    export,
    import_,
    precision,
    report,
    run,
    show,
    snapshot,
    sweep,
    validate,
    workloads,
)


class Group(TyperGroup):
    """Ends every :class:`axsim.errors.InputError` as text on stderr and exit status 2."""

    def invoke(self, ctx: Any) -> Any:
        """Run the chosen command."""
        from axsim.errors import InputError

        try:
            return super().invoke(ctx)
        except InputError as error:
            for problem in error.problems:
                typer.echo(f"error: {problem}", err=True)
            raise typer.Exit(2) from None


app = typer.Typer(
    cls=Group,
    help="Simulate vision-language models on Axera NPUs: how fast, why, and how accurate.",
    epilog="\b\nExample:\n  axsim show ax630c",
    rich_markup_mode=None,  # plain help: rich would double the start-up time
    pretty_exceptions_enable=False,
    add_completion=False,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"axsim {version('axsim')}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", help="Print the version and exit.", callback=_print_version, is_eager=True
        ),
    ] = False,
) -> None:
    pass


def _command(function: Any, name: str, *examples: str) -> None:
    """Register a command; each help text ends with examples that can be pasted."""
    heading = "Example:" if len(examples) == 1 else "Examples:"
    epilog = "\n".join(["\b", heading, *(f"  {example}" for example in examples)])
    app.command(name, epilog=epilog)(function)


_command(
    run.run,
    "run",
    "axsim run internvl2_1b --chip ax630c",
    "axsim run internvl2_1b --chip ax650n --variant 448-u16 --trace trace.json.gz",
    "axsim run internvl2_1b --chip ax630c --timing-only --plot timeline.png --plot-kind timeline",
    'axsim run mine.yaml --chip ax630c --checkpoint DIR --image dog.jpg --prompt "What is it?"',
    "axsim run mine.yaml --chip ax630c --timing-only --json - --set build.prefill_chunk=256",
)
_command(
    report.report,
    "report",
    "axsim report internvl2_1b --chip ax630c -o report.html",
    "axsim report mine.yaml --chip ax650n --timing-only --set build.prefill_chunk=256",
)
_command(
    import_.import_,
    "import",
    "axsim import InternVL2-1B -o mine.yaml",
)
_command(
    precision.precision,
    "precision",
    "axsim precision internvl2_1b --variant 224-u8",
    "axsim precision mine.yaml --checkpoint DIR --images photos --target 0.99 -o rows.csv",
)
_command(
    export.export,
    "export",
    "axsim export internvl2_1b -o models --subgraph vision",
    "axsim export mine.yaml --checkpoint DIR --quantized --images photos -o models",
)
_command(chips.chips, "chips", "axsim chips")
_command(workloads.workloads, "workloads", "axsim workloads")
_command(
    show.show,
    "show",
    "axsim show ax630c",
    "axsim show internvl2_1b --set build.vision_dtype=u16",
)
_command(
    sweep.sweep,
    "sweep",
    "axsim sweep internvl2_1b --chip ax650n,ax630c --vary build.prefill_chunk=64,128 --timing-only",
    "axsim sweep mine.yaml --chip ax630c --vary chip.dram.data_rate_mtps=2133..4267:5 -o out.csv",
    "axsim sweep internvl2_1b --chip ax630c --variant 448-u8 --timing-only --plot map.png \\\n"
    "      --vary chip.dram.peak_gbps=4..34:16 --vary chip.npu.int8_tops=1..16:16",
    "axsim sweep mine.yaml --chip ax650n --timing-only --objective ttft_ms --optimizer optuna \\\n"
    "      --vary build.prefill_chunk=32..512:31 --vary chip.dram.peak_gbps=16..64:25",
    "axsim sweep internvl2_1b --chip ax630c --objective ttft_ms --constraint 'cosine>=0.99'",
)
_command(
    snapshot.snapshot,
    "snapshot",
    "axsim snapshot mine.yaml --chip ax630c -o baseline.json",
)
_command(
    snapshot.check,
    "check",
    "axsim check baseline.json --tolerance 2%",
)
_command(
    compare.compare,
    "compare",
    "axsim compare ax650n ax630c --workload internvl2_1b",
    "axsim compare before.json after.json",
)
_command(
    validate.validate,
    "validate",
    "axsim validate --plot accuracy.png",
    "axsim validate --ledger mine.csv --models mine.yaml --max-mape 6",
)
_command(
    calibrate.calibrate,
    "calibrate",
    "axsim calibrate ax650n -o ax650n.yaml",
    "axsim calibrate my_board.yaml --ledger mine.csv --cross-validate -o my_board.yaml",
)
_command(
    explain.explain,
    "explain",
    "axsim explain internvl2_1b --chip ax650n --variant 448-u16",
    "axsim explain qwen3_0_6b --chip ax630c",
)
