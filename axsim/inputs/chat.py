"""Pictures and a question as a prompt, for ``axsim run --prompt``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from axsim.compiler.partition import Deployment
from axsim.errors import InputError, Problem
from axsim.inputs.images import open_picture
from axsim.inputs.prompts import Prompts, Question
from axsim.inputs.template import Message
from axsim.models.config import Pixels, size_text
from axsim.spec.descriptor import override
from axsim.spec.workload import Workload

PLACEHOLDER = "<image>"


class Chat:
    """One question to a checkpoint, with any number of pictures.

    Each stands where the question says ``<image>``, or before it. ``dynamic_tiling`` cuts pictures
    as InternVL was trained; else each is one tile, as the vendor's hosts feed it. ``has_picture``
    says whether there are any. The number of tiles and tokens depends on the image size of each
    build.

    Raises InputError for a missing or broken file, tokenizer or picture, and for a picture without
    a model that sees.
    """

    def __init__(
        self,
        checkpoint: str | Path,
        prompt: str,
        image: str | Path | Sequence[str | Path] | None = None,
        dynamic_tiling: bool = False,
    ) -> None:
        self._prompts = Prompts(checkpoint)
        self.tokens = self._prompts.tokens
        files = [image] if isinstance(image, str | Path) else list(image or ())
        self._opened = [open_picture(file) for file in files]
        missing = len(files) - prompt.count(PLACEHOLDER)
        said = f"{PLACEHOLDER}\n" * max(missing, 0) + prompt
        self._asked = Message("user", tuple(said.split(PLACEHOLDER, len(files))))
        self.has_picture = bool(files)
        self.dynamic_tiling = dynamic_tiling
        self._known: dict[tuple[Pixels, int], Question] = {}

    def adapt(self, workload: Workload) -> Workload:
        """The workload with as many images and prompt tokens as the question has, without those
        that ``request.cached_tokens`` says are in the KV cache.

        Raises InputError, besides, when the prompt does not fit what is compiled or the workload
        asks for something else.
        """
        workload = self._resized(workload)
        for name in ("turns", "video"):
            if getattr(workload.request, name):
                what = "asks something of its own"
                raise InputError(Problem("", f"request.{name}", what, "one question: --prompt"))
        question = self._question(workload)
        cached = workload.cached_tokens
        before_images = int(np.argmax(question.image_rows)) if question.pictures else cached
        most = min(before_images, len(question.tokens) - 1)
        if cached > most:
            allowed = f"up to {most}, the tokens before the first picture or the last word"
            raise InputError(Problem("", "request.cached_tokens", f"found {cached}", allowed))
        asked = workload.request.images
        if asked is not None and self._opened and asked != len(self._opened):
            what, several = f"found {asked}", "s" if len(self._opened) > 1 else ""
            allowed = f"{len(self._opened)}, the picture{several} of --image, or nothing"
            raise InputError(Problem("", "request.images", what, allowed))
        keys: dict[str, object] = {"request.prompt_tokens": len(question.tokens) - cached}
        if workload.model.vision is not None:
            keys["request.images"] = len(question.pictures)
        return override(workload, keys)

    def _resized(self, workload: Workload) -> Workload:
        """For the pictures' own size, where that decides what the vision part takes."""
        if not self._opened or not (workload.request.min_pixels or workload.request.max_pixels):
            return workload
        keys = [{"request.image_size": picture.size[::-1]} for picture in self._opened]
        found = [override(workload, each) for each in keys]
        sizes = [size_text(each.image_size) for each in found]
        if len(set(sizes)) > 1:
            what = f"the pictures are resized to {', '.join(map(str, dict.fromkeys(sizes)))}"
            allowed = "pictures of one size, or request.image_size without min_pixels, max_pixels"
            raise InputError(Problem("", "--image", what, allowed))
        return found[0]

    def question(self, deployment: Deployment) -> Question:
        """What a deployment of an adapted workload is asked."""
        return self._question(deployment.workload)

    def _question(self, workload: Workload) -> Question:
        key = workload.image_size, workload.image_tokens
        if key not in self._known:
            self._known[key] = self._prompts.question(
                workload, [self._asked], self._opened, self.dynamic_tiling
            )
        return self._known[key]
