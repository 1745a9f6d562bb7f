"""``axsim import``: a checkpoint's config.json as a workload file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from axsim.cli.command import Command
from axsim.cli.terminal.outputs import will_write, written_as


def import_(
    folder: Annotated[
        Path,
        typer.Argument(
            metavar="DIR",
            help="A checkpoint folder with its config.json, or that; or a package of the vendor's "
            "runtime.",
        ),
    ],
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE.yaml",
            callback=written_as(".yaml", ".yml"),
            help="The workload file; - is stdout.",
        ),
    ] = Path("-"),
) -> None:
    """Write the workload of a checkpoint, to edit and to run.

    Its architecture, with a build and a request. Reads config.json of decoders (Llama, Qwen, Gemma,
    Phi, Mistral, Granite, GLM and more), of vision-language models (InternVL, Qwen-VL, SmolVLM,
    LLaVA, PaliGemma and more), of vision towers (ViT, CLIP, SigLIP, DINO) and of Whisper; what it
    cannot build it refuses with the reason. Weights are not needed. Of a package, the files' names
    and sizes and the runtime's config.json tell chunk, layers, weights, KV cache and groups; the
    model's own config.json must lie in it too.
    """
    from axsim.files import whole_text
    from axsim.spec.from_checkpoint import assumed, workload_text

    will_write(output)
    text = workload_text(folder)
    sizes = ", ".join(f"{key} {value}" for key, value in assumed(folder).items())
    if sizes:
        typer.echo(f"assumed, as transformers does where config.json is silent: {sizes}", err=True)
    with whole_text(output) as file:
        file.write(text)


IMPORT = Command(
    "import",
    import_,
    """
    axsim import InternVL2-1B -o mine.yaml
    """,
    place=8,
)
