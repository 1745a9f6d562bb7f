"""Requests as they come over the wire: the part of OpenAI's chat completions that the vendor's
runtime has, checked key by key.

Keys that would change the answer and that it does not have are refused; others that are not known
are ignored.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from axsim.errors import shortened
from axsim.server.refusal import Refusal

SHOWN = 5
"""Faults of one request that are told."""
MAX_STOPS = 4
"""Stop sequences of one request, OpenAI's limit."""

UNSUPPORTED: Mapping[str, tuple[object, ...]] = {
    "n": (1,),
    "logprobs": (False,),
    "top_logprobs": (0,),
    "logit_bias": ({},),
    "frequency_penalty": (0,),
    "presence_penalty": (0,),
    "response_format": ({"type": "text"},),
    "modalities": (["text"],),
    "tools": ([],),
    "functions": ([],),
    "tool_choice": ("none", "auto"),
    "function_call": ("none", "auto"),
}
"""Keys of OpenAI's that the runtime does not have, with the values that ask for nothing."""


class _Read(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore", allow_inf_nan=False)


class Words(_Read):
    """A part of a message: text."""

    type: Literal["text"]
    text: str


class ImageUrl(_Read):
    """Where a picture is."""

    url: str


class Picture(_Read):
    """A part of a message: a picture as a data URI."""

    type: Literal["image_url"]
    image_url: ImageUrl

    @field_validator("image_url", mode="before")
    @classmethod
    def _bare(cls, value: object) -> object:
        return {"url": value} if isinstance(value, str) else value


class Spoken(_Read):
    """One message."""

    role: Literal["system", "developer", "user", "assistant"]
    content: list[Annotated[Words | Picture, Field(discriminator="type")]] = []

    @field_validator("content", mode="before")
    @classmethod
    def _text_alone(cls, value: object) -> object:
        if value is None:
            return []
        if isinstance(value, str):
            return [{"type": "text", "text": value}]
        if not isinstance(value, list):
            raise ValueError("should be a text or a list of parts")
        return value


class StreamOptions(_Read):
    """What else a stream tells."""

    include_usage: bool | None = None


class ChatRequest(_Read):
    """The body of a request for a chat completion. None: as the server has it."""

    model: str | None = None
    messages: list[Spoken] = Field(min_length=1)
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    max_tokens: int | None = Field(None, ge=1)
    max_completion_tokens: int | None = Field(None, ge=1)
    temperature: float | None = Field(None, ge=0, le=2)
    top_p: float | None = Field(None, ge=0, le=1)
    top_k: int | None = Field(None, ge=-1)
    seed: int | None = None
    stop: list[str] = Field([], max_length=MAX_STOPS)

    @field_validator("stop", mode="before")
    @classmethod
    def _one_or_more(cls, value: object) -> object:
        if value is None:
            return []
        if isinstance(value, str):
            return [value]
        if not isinstance(value, list):
            raise ValueError("should be a text or a list of texts")
        return value

    @property
    def limit(self) -> int | None:
        """Tokens of the answer at most; of both keys the smaller one."""
        given = [each for each in (self.max_tokens, self.max_completion_tokens) if each is not None]
        return min(given, default=None)

    @property
    def wants_usage(self) -> bool:
        """Whether a stream ends with the usage."""
        return self.stream_options is not None and bool(self.stream_options.include_usage)


def read_request(body: bytes) -> ChatRequest:
    """The request of a body; Refusal for what is no JSON or wrong."""
    try:
        document = json.loads(body)
        if b"\\ud" in body.lower():  # halves of characters, which JSON can write and text can't be
            json.dumps(document, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise Refusal(400, f"the body is no JSON: {error}") from None
    if not isinstance(document, dict):
        raise Refusal(400, f"the body is {_shown(document)}, not a JSON object")
    for key, harmless in UNSUPPORTED.items():
        value = document.get(key)
        if value is not None and value not in harmless:
            what = f"{key}: found {_shown(value)}, which the chip's runtime does not have"
            raise Refusal(400, what, param=key, code="unsupported_parameter")
    try:
        return ChatRequest.model_validate(document)
    except ValidationError as error:
        found = [(_path(each["loc"]), each) for each in error.errors(include_url=False)]
        told = [f"{path}: {_complaint(each)}" for path, each in found[:SHOWN]]
        told += [f"… and {len(found) - SHOWN} more"] if len(found) > SHOWN else []
        text = "; ".join(told)
        raise Refusal(400, text, param=found[0][0], code=_code(found[0][1])) from None


def _complaint(error: Any) -> str:
    text = shortened(str(error["msg"]).removeprefix("Value error, "), 200)
    text = text[0].lower() + text[1:]
    if error["type"] == "model_type":
        text = "should be an object"
    return text if error["type"] == "missing" else f"{text}, found {_shown(error['input'])}"


def _code(error: Any) -> str:
    missing = error["type"] == "missing"
    return "missing_required_parameter" if missing else "invalid_value"


def _path(location: Sequence[str | int]) -> str:
    """``messages[0].content`` of a place in the document; the names of alternatives are no part of
    it."""
    text = ""
    for before, part in zip((None, *location), location, strict=False):
        if isinstance(part, int):
            text += f"[{part}]"
        elif not (isinstance(before, int) and part in ("text", "image_url")):
            text += f".{part}" if text else part
    return text


def _shown(value: object) -> str:
    """A value in a message: as JSON, cut where it is long."""
    text = json.dumps(value, default=repr)
    return text if len(text) <= 60 else f"{text[:57]}..."
