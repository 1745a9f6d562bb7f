"""Pictures and a question as a prompt: chat template, image tokens, pixels."""

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
        self.tokens = Tokens(checkpoint)
        self._folder = Path(checkpoint)
        config = read_config(checkpoint)
        self._join = JOINS.get(str(config.get("model_type")))
        self._context = self._join.image[1] if self._join else ""
        self._template = template_of(checkpoint, config, self.tokens)
        self._prompt = prompt
        files = [image] if isinstance(image, str | Path) else list(image or ())
        self._opened = [open_picture(file) for file in files]
        self.has_picture = bool(files)
        self.dynamic_tiling = dynamic_tiling
        self._known: dict[tuple[int, int], Question] = {}

    def adapt(self, workload: Workload) -> Workload:
        """The workload with as many images and prompt tokens as the question has.

        Raises InputError, besides, when the prompt does not fit what is compiled.
        """
        if self._opened and workload.model.vision is None:
            raise InputError(f"{workload.name} has no vision tower for a picture")
        if self._opened and not self._context:
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
            size = workload.image_size
            cut = [prepared(picture, size, self.dynamic_tiling) for picture in self._opened]
            shown = [self._shown(workload, len(tiles)) for tiles in cut]
            ids = self.tokens.encode(self._text(shown), begin=self._template.plain)
            if not ids:
                raise InputError("the prompt is empty: there is no token to begin with")
            pictures = [tile for tiles in cut for tile in tiles]
            rows = (
                np.array(ids) == self._id(self._context) if pictures else np.zeros(len(ids), bool)
            )
            wanted = len(pictures) * workload.image_tokens
            if int(rows.sum()) != wanted:
                raise InputError(f"the prompt has {int(rows.sum())} {self._context}, not {wanted}")
            self._known[key] = Question(ids, rows, pictures, self._ends)
        return self._known[key]

    def _shown(self, workload: Workload, tiles: int) -> str:
        """The tokens of one picture between those that open and close it."""
        assert self._join is not None
        model = workload.model.config()
        if not self._join.row_end or model.vision is None or model.projector is None:
            return self._context * (tiles * workload.image_tokens)
        high, wide = model.vision.grid(workload.image_size)
        row = self._context * (wide // model.projector.block)
        return self._join.row_end.join([row] * (high // model.projector.block * tiles))

    def _text(self, shown: Sequence[str]) -> str:
        """The rendered question, each picture's tokens in its place."""
        if not shown:
            return self._template.render(self._prompt)
        assert self._join is not None
        self._id(self._context)
        said = self._prompt
        missing = len(shown) - said.count(PLACEHOLDER)
        said = f"{PLACEHOLDER}\n" * max(missing, 0) + said
        opening, _, closing = self._join.image
        own = self._template.parts and self._template.parts(said.split(PLACEHOLDER))
        mark = self._join.mark or self._context
        if own and own.count(mark) == len(shown):
            # The template knows where pictures go; some write what opens and closes them, too.
            if opening and f"{opening}{mark}" in own:
                opening = closing = ""
            return _filled(own, mark, [f"{opening}{each}{closing}" for each in shown])
        each = [f"{opening}{tokens}{closing}" for tokens in shown]
        return self._template.render(_filled(said, PLACEHOLDER, each))

    def _id(self, token: str) -> int:
        found = self.tokens.id(token)
        if found is None:
            raise InputError(f"the tokenizer of {self._folder} has no token {token}")
        return found

    @property
    def _ends(self) -> tuple[int, ...]:
        found = map(self.tokens.id, self._template.ends)
        return tuple(each for each in found if each is not None)


def _filled(text: str, mark: str, parts: Sequence[str]) -> str:
    """The text with its marks replaced by the parts, in turn; any more stay as they are."""
    pieces = text.split(mark, len(parts))
    return pieces[0] + "".join(part + piece for part, piece in zip(parts, pieces[1:], strict=True))
