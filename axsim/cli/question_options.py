"""The question that a run answers, and the pictures that it is about: options of ``axsim run`` and
``axsim report``."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

if TYPE_CHECKING:
    from axsim.cli.options import RunOptions
    from axsim.inputs.chat import Chat
    from axsim.runs.sources import Sources


@dataclass(frozen=True)
class QuestionOptions:
    """What is asked, about which pictures."""

    prompt: Annotated[
        Optional[str],  # noqa: UP045  (typer evaluates annotations on Python 3.10 as well)
        typer.Option(metavar="TEXT", help="Ask this, and show the answer (needs --checkpoint)."),
    ] = None
    image: Annotated[
        Optional[list[Path]],  # noqa: UP045
        typer.Option(
            metavar="FILE",
            help="A picture that the prompt is about, or an ONNX file's network is run on; may be "
            "repeated.",
        ),
    ] = None
    dynamic_tiling: Annotated[
        bool,
        typer.Option(
            "--dynamic-tiling",
            help="Cut the picture into tiles as InternVL was trained; the vendor's hosts use one.",
        ),
    ] = False

    @property
    def words(self) -> list[str]:
        """The options as they are typed."""
        found = [] if self.prompt is None else ["--prompt", self.prompt]
        for file in self.image or ():
            found += ["--image", str(file)]
        return [*found, *(["--dynamic-tiling"] if self.dynamic_tiling else [])]

    def asked(self, options: RunOptions, realtime: bool = False) -> tuple[Chat | None, Sources]:
        """The question, if there is one, and what numbers are made from: of a network with the
        pictures.

        Raises:
            InputError: options contradict each other, or a file cannot be read.
        """
        from axsim.errors import InputError

        sources = options.sources
        if not (self.prompt is not None or self.image or realtime or self.dynamic_tiling):
            return None, sources
        plain = self.prompt is None and not (realtime or self.dynamic_tiling)
        if plain and _is_network(options):
            if options.timing_only:
                raise InputError("--image needs the kernels, which --timing-only leaves out")
            return None, replace(sources, pictures=tuple(map(str, self.image or ())))
        if self.prompt is None:
            others = "--image, --dynamic-tiling and --realtime"
            raise InputError(f"{others} need a question: --prompt TEXT")
        if options.checkpoint is None:
            raise InputError("--prompt needs a model that was trained: --checkpoint DIR")
        if options.timing_only:
            raise InputError("--prompt needs the kernels, which --timing-only leaves out")
        if self.dynamic_tiling and not self.image:
            raise InputError("--dynamic-tiling cuts a picture: --image FILE")
        from axsim.inputs.chat import Chat

        return Chat(options.checkpoint, self.prompt, self.image, self.dynamic_tiling), sources


def _is_network(options: RunOptions) -> bool:
    from axsim.spec.workload import load_workload

    return load_workload(options.workload).model.onnx is not None
