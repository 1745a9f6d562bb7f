"""Pictures and a question as a prompt, for ``axsim run --prompt``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from axsim.compiler.partition import Deployment
from axsim.inputs.images import open_picture
from axsim.inputs.prompts import Prompts, Question
from axsim.inputs.template import Message
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
        self._known: dict[tuple[int, int], Question] = {}

    def adapt(self, workload: Workload) -> Workload:
        """The workload with as many images and prompt tokens as the question has.

        Raises InputError, besides, when the prompt does not fit what is compiled.
        """
        question = self._question(workload)
        keys: dict[str, object] = {"request.prompt_tokens": len(question.tokens)}
        if workload.model.vision is not None:
            keys["request.images"] = len(question.pictures)
        return override(workload, keys)

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
