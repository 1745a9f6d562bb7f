"""``axsim import``: a checkpoint's config.json as a workload file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from axsim.cli.command import Command


def import_(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="A checkpoint folder with its config.json.")
    ],
    output: Annotated[
        Path,
        typer.Option("--output", "-o", metavar="FILE", help="The workload file; - is stdout."),
    ] = Path("-"),
) -> None:
    """Write the workload of a checkpoint: its architecture, with a build and a request to edit.

    Reads config.json of the decoders and joined models that axsim/models/families.py and joins.py
    have a row for: Qwen, Llama, Gemma, Phi and more; InternVL, Qwen-VL, LLaVA, SmolVLM and more.
    Weights are not needed.
    """
    from axsim.files import check_writable, whole_text
    from axsim.spec.from_checkpoint import workload_text

    check_writable(output)
    text = workload_text(folder)
    with whole_text(output) as file:
        file.write(text)


IMPORT = Command(
    "import",
    import_,
    """
    axsim import InternVL2-1B -o mine.yaml
    """,
    place=3,
)
