"""What the numbers of a run are made from, beside workload and chip."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from axsim.errors import InputError, Problem

if TYPE_CHECKING:
    from axsim.compiler.partition import Deployment
    from axsim.numerics.observers import Observer

SEEDED = "seeded"
"""The only value of ``calibrate_on``."""


@dataclass(frozen=True)
class Sources:
    """``checkpoint``: the folder with the weights; synthetic ones without it. ``images``: a folder
    of pictures that ranges of activations are taken from, some of them held out to be compared.
    ``text``: the file that a checkpoint is judged on; the shipped page without it. ``observer``:
    how ranges are found, a name of :data:`~axsim.numerics.observers.OBSERVERS`. ``calibrate_on``:
    ``seeded`` insists on a seeded picture for a checkpoint. ``pictures``: files that a network
    from an ONNX file is compared on.

    Paths are texts, so that another process can have them.
    """

    checkpoint: str | None = None
    images: str | None = None
    text: str | None = None
    observer: str = "MinMax"
    calibrate_on: str | None = None
    pictures: tuple[str, ...] = ()

    @classmethod
    def of(
        cls,
        checkpoint: str | Path | None = None,
        images: str | Path | None = None,
        text: str | Path | None = None,
        observer: str = "MinMax",
        calibrate_on: str | None = None,
        pictures: Sequence[str | Path] = (),
    ) -> Sources:
        """From what a caller gives.

        Raises:
            InputError: a name is none of those allowed, or one source has no effect beside another.
        """
        files = tuple(map(str, pictures))
        found = cls(_text(checkpoint), _text(images), _text(text), observer, calibrate_on, files)
        if calibrate_on not in (None, SEEDED):
            raise InputError(Problem("", "calibrate_on", f"found {calibrate_on!r}", SEEDED))
        if calibrate_on and images is not None:
            raise InputError("--calibrate-on seeded and --images contradict each other")
        if text is not None and checkpoint is None:
            raise InputError("--text judges a model that was trained: --checkpoint DIR")
        if observer != cls.observer:
            found.make_observer()
        return found

    @property
    def options(self) -> list[str]:
        """The command line's options that give the same."""
        observer = None if self.observer == Sources.observer else self.observer.lower()
        given = {
            "--checkpoint": self.checkpoint,
            "--images": self.images,
            "--text": self.text,
            "--observer": observer,
            "--calibrate-on": self.calibrate_on,
        }
        pairs = [(name, value) for name, value in given.items() if value is not None]
        pairs += [("--image", file) for file in self.pictures]
        return [word for pair in pairs for word in pair]

    def make_observer(self) -> Callable[[], Observer]:
        """What makes the observer of one tensor."""
        from axsim.numerics.observers import OBSERVERS
        from axsim.spec.diagnosis import nearest

        if self.observer not in OBSERVERS:
            what, allowed = f"found {self.observer!r}", ", ".join(OBSERVERS)
            close = nearest(self.observer, list(OBSERVERS))
            raise InputError(Problem("", "observer", what, allowed, close))
        return OBSERVERS[self.observer]


SYNTHETIC = Sources()
"""Synthetic weights, seeded pictures, no text."""


def refuse_for_networks(deployments: Iterable[Deployment], checkpoint: object) -> None:
    """Raises InputError for a checkpoint beside a network, whose weights are in its ONNX file."""
    for deployment in deployments:
        if checkpoint is not None and deployment.workload.model.onnx is not None:
            what = f"{deployment.workload.name} is a network from an ONNX file"
            raise InputError(f"{what}, which holds its weights: --checkpoint has no effect")


def _text(path: str | Path | None) -> str | None:
    return None if path is None else str(path)
