"""Which pictures a run sees: those that ranges of activations are taken from, those compared.

Of a folder some pictures are held out: they are compared with float32, and the ranges come from the
others. A question's own pictures are compared in any case; without a folder the ranges come from
them, whose ranges fit better than another picture's would. Without either both are seeded, which
says nothing of a trained model: a checkpoint wants pictures, or is told to do without.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from axsim.compiler.partition import Deployment
from axsim.errors import InputError
from axsim.inputs.images import folder_pictures, open_picture, prepared
from axsim.inputs.seeded import seeded_input
from axsim.kernels.array import Array
from axsim.models.config import Pixels as Size
from axsim.runs.sharing import calibrated, sees
from axsim.runs.sources import SYNTHETIC, Sources

if TYPE_CHECKING:
    from axsim.inputs.chat import Chat

T = TypeVar("T")

HELD_OUT = 4
"""A quarter of a folder is compared, at most so many pictures: each is run in every build."""


@dataclass(frozen=True)
class Pixels:
    """``calibration``: pictures [1, S, S, 3] u8 that ranges are taken from; ``compared``: those
    that are compared, of which the request has the first."""

    calibration: Sequence[Array]
    compared: Sequence[Array]

    @classmethod
    def seeded(cls, deployment: Deployment) -> Pixels:
        """Those of a run without any file."""
        workload = deployment.workload
        names = [f"image {index}" for index in range(max(workload.all_images, 1))]
        compared = [seeded_input(workload, name) for name in names]
        return cls([seeded_input(workload, "calibration 0")], compared)


def split(pictures: Sequence[T], images: int) -> tuple[list[T], list[T]]:
    """What ranges are taken from, and what is held out to be compared: pictures spread over the
    folder, as many as a request has at least. Those of one picture are the same."""
    count = max(images, 1, min(HELD_OUT, len(pictures) // 4))
    chosen = [i * len(pictures) // count for i in range(count)]
    others = [each for i, each in enumerate(pictures) if i not in chosen]
    return others or list(pictures), [pictures[i] for i in chosen]


class RunPictures:
    """The pictures of every deployment of a run. ``asked``: the ranges are those of the question's
    own pictures.

    Raises InputError for a folder without pictures, for one that has no effect, and for a
    checkpoint whose ranges would come from a seeded picture.
    """

    def __init__(
        self,
        deployments: Sequence[Deployment],
        sources: Sources = SYNTHETIC,
        chat: Chat | None = None,
    ) -> None:
        folder = sources.images
        if deployments and all(each.workload.model.onnx for each in deployments):
            folder = None  # networks have their own inputs
        self._folder, self._chat = folder, chat
        self._files = [] if folder is None else folder_pictures(folder)
        self._opened: dict[tuple[Path, Size], list[Array]] = {}
        quantised = any(calibrated(each) for each in deployments)
        if self._files and not any(sees(each) for each in deployments):
            raise InputError(f"{folder}: no request has images for a vision part")
        if self._files and any(each.model.hears for each in deployments):
            raise InputError(f"{folder}: pictures are nothing to an encoder of sound")
        if self._files and chat is not None and not quantised:
            what = "nothing to calibrate: no request has images for a vision part in u8 or u16"
            raise InputError(f"{folder}: {what}")
        seeded = folder is None and not (chat and chat.has_picture)
        if quantised and seeded and sources.checkpoint is not None and not sources.calibrate_on:
            raise without_pictures(any(each.model.hears for each in deployments))
        self.asked = not self._files and chat is not None and chat.has_picture
        if sources.calibrate_on:
            self.asked = False

    def of(self, deployment: Deployment) -> Pixels:
        """Those of a deployment; nothing calibrates when ranges are the question's own."""
        workload = deployment.workload
        seeded = Pixels.seeded(deployment)
        calibration, compared = seeded.calibration, seeded.compared
        if self._files:
            kept, held = self._split(workload.all_images)
            calibration = [tile for file in kept for tile in self._prepared(file, deployment)]
            compared = [self._prepared(file, deployment)[0] for file in held]
        if self.asked:
            calibration = []
        if self._chat is not None:
            compared = self._chat.question(deployment).pictures
        return Pixels(calibration, compared)

    def calibration_count(self, deployment: Deployment) -> int:
        """Pictures that have to be run for the ranges alone; tiles of one count as one."""
        if self.asked:
            return 0
        return len(self._split(deployment.workload.all_images)[0]) if self._files else 1

    def compared_count(self, deployment: Deployment) -> int:
        """Pictures that are compared."""
        if not self._files or self._chat is not None:
            return deployment.workload.all_images
        return len(self._split(deployment.workload.all_images)[1])

    def calibrated_on(self, deployment: Deployment) -> str:
        """For people: what the ranges were taken from."""
        if self.asked:
            return "the picture of the question"
        if not self._files:
            return "a seeded picture"
        return f"{_count(self.calibration_count(deployment))} of {Path(str(self._folder)).name}"

    def compared_on(self, deployment: Deployment) -> str:
        """For people: what was compared with float32."""
        if self._chat is not None:
            return "the picture of the question"
        if not self._files:
            return "a seeded picture"
        name = Path(str(self._folder)).name
        if len(self._files) == 1:
            return f"the same picture of {name}"
        return f"{_count(self.compared_count(deployment), ' held-out')} of {name}"

    def _split(self, images: int) -> tuple[list[Path], list[Path]]:
        if self._chat is not None:
            return self._files, []
        return split(self._files, images)

    def _prepared(self, file: Path, deployment: Deployment) -> list[Array]:
        size = deployment.workload.image_size
        if (file, size) not in self._opened:
            tiling = self._chat is not None and self._chat.dynamic_tiling
            self._opened[file, size] = prepared(open_picture(file), size, tiling)
        return self._opened[file, size]


def without_pictures(sound: bool = False) -> InputError:
    """The complaint about a checkpoint whose ranges would be those of a seeded picture."""
    what = "a checkpoint's ranges of U8 and U16 activations"
    what += " would come from noise: " if sound else " need pictures: --images DIR; "
    return InputError(f"{what}--calibrate-on seeded insists on a seeded one")


def _count(count: int, kind: str = "") -> str:
    return f"{count}{kind} picture{'' if count == 1 else 's'}"
