"""``axsim exec``: a script for the board, on the simulated chip."""

from __future__ import annotations

import sys
from contextlib import nullcontext, redirect_stdout
from pathlib import Path
from typing import Annotated, Any, Optional

import typer

from axsim.cli.command import Command
from axsim.cli.options import BoardName, JsonPath, Quiet
from axsim.cli.terminal.console import INTERRUPTED
from axsim.spec.vnpu import Vnpu


def exec_(
    script: Annotated[Path, typer.Argument(metavar="SCRIPT.py", help="A script for axengine.")],
    arguments: Annotated[
        Optional[list[str]],  # noqa: UP045  (typer evaluates annotations on Python 3.10 as well)
        typer.Argument(metavar="[ARGUMENT]…", help="What the script is given."),
    ] = None,
    chip: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(
            metavar="CHIP",
            help="The board's chip, by name or by file; by default the one of the script's files.",
        ),
    ] = None,
    board: BoardName = None,
    card: Annotated[
        bool, typer.Option("--card", help="The chip is on a card behind PCIe.")
    ] = False,
    vnpu: Annotated[
        Vnpu,
        typer.Option(help="How the NPU is divided; a model runs on partitions with its cores."),
    ] = Vnpu.disabled,
    realtime: Annotated[
        bool, typer.Option("--realtime", help="Let calls take as long as on the chip.")
    ] = False,
    virtual_time: Annotated[
        bool,
        typer.Option("--virtual-time", help="Let the script see the chip's clock in module time."),
    ] = False,
    json_path: JsonPath = None,
    quiet: Quiet = False,
) -> None:
    """Run a script that was written for the board, unchanged.

    `import axengine` is the simulated chip.

    Files are those of `axsim build`. Sessions compute what the chip would, and a clock advances by
    the time that it would take; a table at the end tells it by session and shape group. Options of
    axsim stand before the script; the exit status is the script's. With --json - what the script
    prints goes to stderr, so that stdout is the document.
    """
    from axsim.axengine.child_processes import board_of, told_to_processes
    from axsim.axengine.clock import virtual_time as with_virtual_time
    from axsim.axengine.script import run_script
    from axsim.files import STDOUT, check_writable

    if realtime and virtual_time:
        raise typer.BadParameter("--realtime and --virtual-time contradict each other")
    if chip is not None and board is not None:
        raise typer.BadParameter("--chip and --board: give one, a board has its chip")
    check_writable(json_path)
    how: dict[str, Any] = {"chip": chip, "board": board, "card": card}
    how |= {"realtime": realtime, "vnpu": vnpu.value}
    stand_in = board_of(**how)
    to_stdout = str(json_path) == STDOUT
    try:
        with (
            redirect_stdout(sys.stderr) if to_stdout else nullcontext(),
            with_virtual_time(stand_in) if virtual_time else nullcontext(),
            told_to_processes(**how),
        ):
            status = run_script(script, list(arguments or ()))
    except KeyboardInterrupt:
        typer.echo("interrupted", err=True)
        status = INTERRUPTED
    if stand_in.usage.calls and not quiet and not to_stdout:
        _show(stand_in.usage, realtime)
    if json_path is not None:
        from axsim.files import write_json

        write_json(stand_in.usage.to_dict(), json_path)
    raise typer.Exit(status)


def _show(usage: object, realtime: bool) -> None:
    from axsim.axengine.calls import Usage
    from axsim.axengine.usage_table import usage_lines, usage_table
    from axsim.cli.terminal.console import console

    assert isinstance(usage, Usage)
    out = console()
    out.print()
    out.print(usage_table(usage))
    for line in usage_lines(usage, realtime):
        out.print(line)


EXEC = Command(
    "exec",
    exec_,
    """
    axsim exec infer.py --axmodel_path qwen
    axsim exec --chip ax650n --realtime infer.py --axmodel_path qwen
    """,
    place=11,
    passes_arguments=True,
)
