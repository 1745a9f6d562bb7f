"""Which pictures the ranges of activations are taken from before a run.

Those of a folder; without one the picture that the question is about, whose ranges fit it better
than another picture's would; without either a seeded one, which is not in the request.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from axsim.compiler.partition import Deployment
from axsim.errors import InputError
from axsim.inputs.images import folder_pictures, open_picture, prepared
from axsim.inputs.seeded import seeded_input
from axsim.kernels.array import Array
from axsim.runs.sharing import calibrated

if TYPE_CHECKING:
    from axsim.inputs.chat import Chat


class CalibrationPictures:
    """The pictures for every deployment of a run. ``asked``: they are those of the request itself.

    Raises InputError for a folder without pictures, and when no deployment quantises its vision
    part: then a folder would have no effect.
    """

    def __init__(
        self,
        deployments: Sequence[Deployment],
        folder: str | Path | None = None,
        chat: Chat | None = None,
    ) -> None:
        self._folder = folder
        self._files = [] if folder is None else folder_pictures(folder)
        if self._files and not any(calibrated(each) for each in deployments):
            what = "nothing to calibrate: no request has images for a vision part in u8 or u16"
            raise InputError(f"{folder}: {what}")
        if self._files and any(each.model.hears for each in deployments):
            raise InputError(f"{folder}: pictures are nothing to an encoder of sound")
        self._tiling = chat is not None and chat.dynamic_tiling
        self.asked = folder is None and chat is not None and chat.has_picture

    @property
    def count(self) -> int:
        """Pictures that have to be run beside those of the request; tiles of one count as one."""
        return 0 if self.asked else len(self._files) or 1

    def of(self, deployment: Deployment) -> list[Array]:
        """They, [1, S, S, 3] u8 each; none when they are those of the request itself."""
        workload = deployment.workload
        if self.asked:
            return []
        if not self._files:
            return [seeded_input(workload, "calibration 0")]
        size = workload.image_size
        return [tile for f in self._files for tile in prepared(open_picture(f), size, self._tiling)]

    def __str__(self) -> str:
        """For people: what the ranges were taken from."""
        if self.asked:
            return "the picture of the question"
        if not self._files:
            return "a seeded picture"
        count = len(self._files)
        return f"{count} picture{'s' if count > 1 else ''} of {Path(str(self._folder)).name}"
