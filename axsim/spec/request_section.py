"""The keys of a request."""

from __future__ import annotations

import re

from pydantic import Field, NonNegativeInt, PositiveInt, field_validator, model_validator

from axsim.errors import Fault, checked
from axsim.spec.descriptor import Section
from axsim.spec.located import show
from axsim.spec.turns import Turn
from axsim.spec.video import Video


class RequestSection(Section):
    """What is asked of the deployed model."""

    images: int | None = Field(None, ge=0, description="images (tiles); 1 with a tower, else 0")
    image_size: PositiveInt | tuple[PositiveInt, PositiveInt] | None = Field(
        None,
        description="pixels along one side, or height and width, as 448x672; the tower's own when "
        "not given",
    )
    min_pixels: PositiveInt | None = Field(
        None, description="image_size is a picture's, resized to this many pixels at least"
    )
    max_pixels: PositiveInt | None = Field(
        None, description="image_size is a picture's, resized to this many pixels at most"
    )
    video: Video | None = Field(None, description="frames of a video, in place of images")
    text_tokens: PositiveInt | None = Field(
        None, description="prompt tokens around the images; 54 when not given"
    )
    prompt_tokens: PositiveInt | None = Field(
        None, description="whole prompt, in place of text_tokens"
    )
    cached_tokens: int = Field(
        0,
        ge=0,
        description="tokens before the prompt whose keys and values are in the KV cache: a system "
        "prompt computed before, or earlier turns",
    )
    turns: tuple[Turn, ...] = Field(
        (), description="a conversation on one KV cache, in place of one prompt"
    )
    new_tokens: PositiveInt = Field(16, description="tokens to generate, the first one included")
    seed: int = Field(0, ge=0, description="seed of pixels, synthetic weights and sampling")
    stop_at_eos: bool = Field(True, description="end at an end-of-sequence token")
    eos_token_id: tuple[NonNegativeInt, ...] | None = Field(
        None,
        description="tokens that end the answer, one or a list; when not given those of the "
        "checkpoint, or the family's",
    )
    temperature: float = Field(0.0, ge=0, description="0 takes the likeliest token (greedy)")
    top_k: PositiveInt | None = Field(None, description="sample among the k likeliest tokens")
    top_p: float | None = Field(None, gt=0, le=1, description="sample among this much probability")

    @field_validator("image_size", mode="before")
    @classmethod
    def _height_by_width(cls, value: object) -> object:
        size = value
        if isinstance(value, str) and re.fullmatch(r"[1-9]\d{0,5}x[1-9]\d{0,5}", value):
            size = tuple(map(int, value.split("x")))
        each = size if isinstance(size, tuple) and len(size) == 2 else (size,)
        if size is not None and not all(type(side) is int and side > 0 for side in each):
            allowed = "pixels along one side, or height and width, such as 448x672 or [448, 672]"
            raise Fault((), f"found {show(value)}", allowed)
        return size

    @field_validator("eos_token_id", mode="before")
    @classmethod
    def _one_or_more(cls, value: object) -> object:
        return (value,) if isinstance(value, int) else value

    @model_validator(mode="after")
    def _consistent(self) -> RequestSection:
        faults = [
            Fault(name, "has no effect: decoding is greedy", also=["temperature"])
            for name in ("top_k", "top_p")
            if getattr(self, name) is not None and not self.temperature
        ]
        faults += [
            Fault(name, "has no effect: each turn has its own", also=["turns"])
            for name in ("images", "text_tokens", "prompt_tokens", "video")
            if getattr(self, name) is not None and self.turns
        ]
        if self.video and self.images is not None:
            faults.append(Fault("images", "has no effect: video has frames", also=["video"]))
        low, high = self.min_pixels or 0, self.max_pixels
        if high is not None and low > high:
            what, also = f"found {low}", ["max_pixels"]
            faults.append(Fault("min_pixels", what, f"up to max_pixels, {high}", also=also))
        return checked(self, faults)
