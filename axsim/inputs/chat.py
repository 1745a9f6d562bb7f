"""A picture and a question as a prompt: chat template, image tokens, pixels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from axsim.compiler.partition import Deployment
from axsim.errors import InputError
from axsim.inputs.images import open_picture, prepared
from axsim.inputs.template import template_of
from axsim.inputs.tokenizer import Tokens
from axsim.kernels.array import Array
from axsim.models.checkpoint import read_config
from axsim.models.joins import JOINS
from axsim.spec.descriptor import override
from axsim.spec.workload import Workload

PLACEHOLDER = "<image>"


@dataclass(frozen=True)
class Question:
    """What one deployment is asked: token ids, which of them stand for image rows (bool [tokens]),
    pictures [1, S, S, 3] u8, and the tokens that end the answer beside the model's own."""

    tokens: Sequence[int]
    image_rows: Array
    pictures: Sequence[Array]
    ends: tuple[int, ...]


class Chat:
    """One question to a checkpoint, with or without a picture.

    ``dynamic_tiling`` cuts the picture as InternVL was trained; else it is one tile, as the
    vendor's hosts feed it. ``has_picture`` says whether there is one. The number of tiles and
    tokens depends on the image size of each build.

    Raises InputError for a missing or broken file, tokenizer or picture, and for a picture without
    a model that sees.
    """

    def __init__(
        self,
        checkpoint: str | Path,
        prompt: str,
        image: str | Path | None = None,
        dynamic_tiling: bool = False,
    ) -> None:
        self.tokens = Tokens(checkpoint)
        self._folder = Path(checkpoint)
        config = read_config(checkpoint)
        join = JOINS.get(str(config.get("model_type")))
        self._open, self._context, self._close = join.image if join else ("", "", "")
        self._template = template_of(checkpoint, config, self.tokens)
        self._prompt = prompt
        self._picture = None if image is None else open_picture(image)
        self.has_picture = image is not None
        self.dynamic_tiling = dynamic_tiling
        self._known: dict[tuple[int, int], Question] = {}

    def adapt(self, workload: Workload) -> Workload:
        """The workload with as many images and prompt tokens as the question has.

        Raises InputError, besides, when the prompt does not fit what is compiled.
        """
        if self._picture is not None and workload.model.vision is None:
            raise InputError(f"{workload.name} has no vision tower for a picture")
        if self._picture is not None and not self._context:
            raise InputError(f"{self._folder} has no tokens that stand for a picture")
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
            pictures = self._pictures(workload.image_size)
            text = self._text(len(pictures) * workload.image_tokens)
            ids = self.tokens.encode(text, begin=self._template.plain)
            rows = (
                np.array(ids) == self._id(self._context)
                if pictures
                else np.zeros(len(ids), np.bool_)
            )
            wanted = len(pictures) * workload.image_tokens
            if int(rows.sum()) != wanted:
                raise InputError(f"the prompt has {int(rows.sum())} {self._context}, not {wanted}")
            self._known[key] = Question(ids, rows, pictures, self._ends)
        return self._known[key]

    def _pictures(self, size: int) -> list[Array]:
        if self._picture is None:
            return []
        return prepared(self._picture, size, self.dynamic_tiling)

    def _text(self, image_tokens: int) -> str:
        said = self._prompt
        if self._picture is not None:
            self._id(self._context)
            if PLACEHOLDER not in said:
                said = f"{PLACEHOLDER}\n{said}"
            said = said.replace(
                PLACEHOLDER, self._open + self._context * image_tokens + self._close, 1
            )
        return self._template.render(said)

    def _id(self, token: str) -> int:
        found = self.tokens.id(token)
        if found is None:
            raise InputError(f"the tokenizer of {self._folder} has no token {token}")
        return found

    @property
    def _ends(self) -> tuple[int, ...]:
        found = map(self.tokens.id, self._template.ends)
        return tuple(each for each in found if each is not None)
