"""How a checkpoint's prompts are written: a conversation becomes token ids and pixels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from axsim.errors import InputError
from axsim.inputs.images import prepared
from axsim.inputs.template import Message, template_of
from axsim.inputs.tokenizer import Tokens
from axsim.kernels.array import Array
from axsim.models.checkpoint import read_config
from axsim.models.joins import JOINS
from axsim.spec.workload import Workload


@dataclass(frozen=True)
class Question:
    """What one deployment is asked: token ids, which of them stand for image rows (bool [tokens]),
    pictures [1, S, S, 3] u8, and the tokens that end the answer beside the model's own."""

    tokens: Sequence[int]
    image_rows: Array
    pictures: Sequence[Array]
    ends: tuple[int, ...]


class Prompts:
    """The tokenizer, the chat template and the picture's tokens of a checkpoint.

    Raises InputError for a missing or broken file or tokenizer.
    """

    def __init__(self, checkpoint: str | Path) -> None:
        self.tokens = Tokens(checkpoint)
        self._folder = Path(checkpoint)
        config = read_config(checkpoint)
        self._join = JOINS.get(str(config.get("model_type")))
        self._context = self._join.image[1] if self._join else ""
        self._template = template_of(checkpoint, config, self.tokens)

    def question(
        self,
        workload: Workload,
        messages: Sequence[Message],
        pictures: Sequence[Any] = (),
        dynamic_tiling: bool = False,
    ) -> Question:
        """A conversation that ends with a question to a build. Its ``pictures`` (Pillow images in
        RGB) stand between the texts of the messages, in turn; each is one tile, or several with
        ``dynamic_tiling``.

        Raises InputError for pictures without a model that sees, and for a text that writes out
        tokens which stand for pictures.
        """
        if pictures and workload.model.vision is None:
            raise InputError(f"{workload.name} has no vision tower for a picture")
        if pictures and not self._context:
            raise InputError(f"{self._folder} has no tokens that stand for a picture")
        cut = [prepared(picture, workload.image_size, dynamic_tiling) for picture in pictures]
        shown = [self._shown(workload, len(tiles)) for tiles in cut]
        ids = self.tokens.encode(self._text(messages, shown), begin=self._template.plain)
        if not ids:
            raise InputError("the prompt is empty: there is no token to begin with")
        tiles = [tile for each in cut for tile in each]
        rows = np.array(ids) == self._id(self._context) if tiles else np.zeros(len(ids), bool)
        wanted = len(tiles) * workload.image_tokens
        if int(rows.sum()) != wanted:
            raise InputError(f"the prompt has {int(rows.sum())} {self._context}, not {wanted}")
        return Question(ids, rows, tiles, self._ends)

    def _shown(self, workload: Workload, tiles: int) -> str:
        """The tokens of one picture between those that open and close it."""
        assert self._join is not None
        model = workload.model.config()
        if not self._join.row_end or model.vision is None or model.projector is None:
            return self._context * (tiles * workload.image_tokens)
        high, wide = model.vision.grid(workload.image_size)
        row = self._context * (wide // model.projector.block)
        return self._join.row_end.join([row] * (high // model.projector.block * tiles))

    def _text(self, messages: Sequence[Message], shown: Sequence[str]) -> str:
        """The rendered conversation, each picture's tokens in its place."""
        if not shown:
            return self._template.render(messages)
        assert self._join is not None
        self._id(self._context)
        opening, _, closing = self._join.image
        own = self._template.parts and self._template.parts(messages)
        mark = self._join.mark or self._context
        if own and own.count(mark) == len(shown):
            # The template knows where pictures go; some write what opens and closes them, too.
            if opening and f"{opening}{mark}" in own:
                opening = closing = ""
            pieces = own.split(mark)
            return _between(pieces, [f"{opening}{each}{closing}" for each in shown])
        each = iter([f"{opening}{tokens}{closing}" for tokens in shown])
        filled = [
            Message(role, (_between(said, [next(each) for _ in said[1:]]),))
            for role, said in messages
        ]
        return self._template.render(filled)

    def _id(self, token: str) -> int:
        found = self.tokens.id(token)
        if found is None:
            raise InputError(f"the tokenizer of {self._folder} has no token {token}")
        return found

    @property
    def _ends(self) -> tuple[int, ...]:
        found = map(self.tokens.id, self._template.ends)
        return tuple(each for each in found if each is not None)


def _between(pieces: Sequence[str], parts: Sequence[str]) -> str:
    """The pieces with the parts between them."""
    return pieces[0] + "".join(part + piece for part, piece in zip(parts, pieces[1:], strict=True))
