"""A picture and a question as a prompt: chat template, image tokens, pixels.

Templates and token names are those of the InternVL models (conversation.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from axsim.compiler.partition import Deployment
from axsim.descriptor import override
from axsim.errors import InputError
from axsim.graph.array import Array
from axsim.models.checkpoint import read_config
from axsim.runtime.pictures import one_tile, open_picture, tiles
from axsim.runtime.tokenizer import Tokens
from axsim.workload import Workload

CONTEXT, OPEN, CLOSE = "<IMG_CONTEXT>", "<img>", "</img>"
PLACEHOLDER = "<image>"
TURN_END = "<|im_end|>"

_HERMES = (
    "<|im_start|>system\n你是由上海人工智能实验室联合商汤科技开发的书生多模态大模型，"
    "英文名叫InternVL, 是一个有用无害的人工智能助手。<|im_end|>"
    "<|im_start|>user\n{}<|im_end|><|im_start|>assistant\n"
)
"""InternVL2's template: no line break after the separator."""
_INTERNVL2_5 = (
    "<|im_start|>system\n你是书生·万象，英文名是InternVL，是由上海人工智能实验室、"
    "清华大学及多家合作单位联合开发的多模态大语言模型。<|im_end|>\n"
    "<|im_start|>user\n{}<|im_end|>\n<|im_start|>assistant\n"
)
_CHATML = "<|im_start|>user\n{}<|im_end|>\n<|im_start|>assistant\n"
TEMPLATES = {"Hermes-2": _HERMES, "internvl2_5": _INTERNVL2_5}
"""By the name in config.json; ``{}`` is what the user says."""


@dataclass(frozen=True)
class Question:
    """What one deployment is asked: token ids, which of them stand for image rows (bool [tokens]),
    pictures [1, S, S, 3] u8, and the token that ends the answer."""

    tokens: Sequence[int]
    image_rows: Array
    pictures: Sequence[Array]
    stop: int | None


class Chat:
    """One question to a checkpoint, with or without a picture.

    ``dynamic_tiling`` cuts the picture as InternVL was trained; else it is one tile, as the
    vendor's hosts feed it. The number of tiles and tokens depends on the image size of each build.

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
        self._config = read_config(checkpoint)
        self._prompt = prompt
        self._picture = None if image is None else open_picture(image)
        self._dynamic = dynamic_tiling
        self._known: dict[tuple[int, int], Question] = {}

    def adapt(self, workload: Workload) -> Workload:
        """The workload with as many images and prompt tokens as the question has.

        Raises InputError, besides, when the prompt does not fit what is compiled.
        """
        if self._picture is not None and workload.model.vision is None:
            raise InputError(f"{workload.name} has no vision tower for a picture")
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
            plain = TURN_END not in text
            ids = self.tokens.encode(text, begin=plain)
            rows = np.array(ids) == self._id(CONTEXT) if pictures else np.zeros(len(ids), np.bool_)
            wanted = len(pictures) * workload.image_tokens
            if int(rows.sum()) != wanted:
                raise InputError(f"the prompt has {int(rows.sum())} {CONTEXT}, not {wanted}")
            self._known[key] = Question(ids, rows, pictures, self._stop(plain))
        return self._known[key]

    def _pictures(self, size: int) -> list[Array]:
        if self._picture is None:
            return []
        return tiles(self._picture, size) if self._dynamic else [one_tile(self._picture, size)]

    def _text(self, image_tokens: int) -> str:
        said = self._prompt
        if self._picture is not None:
            self._id(CONTEXT)
            if PLACEHOLDER not in said:
                said = f"{PLACEHOLDER}\n{said}"
            said = said.replace(PLACEHOLDER, OPEN + CONTEXT * image_tokens + CLOSE, 1)
        name = self._config.get("template")
        if name is not None and name not in TEMPLATES:
            known = ", ".join(TEMPLATES)
            raise InputError(
                f"{self._folder}: the chat template {name!r} is unknown; known: {known}"
            )
        if name is None and self.tokens.id(TURN_END) is None:
            return said  # a model without chat: it continues the text
        return (TEMPLATES[name] if name else _CHATML).replace("{}", said)

    def _id(self, token: str) -> int:
        found = self.tokens.id(token)
        if found is None:
            raise InputError(f"the tokenizer of {self._folder} has no token {token}")
        return found

    def _stop(self, plain: bool) -> int | None:
        """The end of a chat turn, or the end-of-sequence token of config.json."""
        if not plain:
            return self._id(TURN_END)
        inner: dict[str, Any] = (
            self._config.get("llm_config") or self._config.get("text_config") or {}
        )
        found = inner.get("eos_token_id", self._config.get("eos_token_id"))
        return found[0] if isinstance(found, list) else found
