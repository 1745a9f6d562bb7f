"""How the pixels of a picture become an input of a network."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, PositiveFloat

from axsim.spec.descriptor import Section

EVERY = "DEFAULT"
"""The name that stands for all inputs, as in the vendor's build configuration."""


class Preprocess(Section):
    """Of one input: the picture is resized, its channels put in order, and each channel becomes
    (pixel - mean) / std, pixels being 0 to 255.

    The defaults are those of most detectors: RGB, 0 to 1, stretched.
    """

    format: Literal["RGB", "BGR", "GRAY"] | None = Field(
        None, description="order of the channels; RGB of three, GRAY of one when not given"
    )
    layout: Literal["NCHW", "NHWC"] | None = Field(
        None, description="of the input; as its shape says when not given"
    )
    mean: tuple[float, ...] = Field(
        (), description="taken from each channel, of 255; one number or one a channel"
    )
    std: tuple[PositiveFloat, ...] = Field(
        (255.0,), description="what each channel is divided by, of 255"
    )
    resize: Literal["stretch", "letterbox"] = Field(
        "stretch", description="to the input's size, or with its aspect kept, between grey bars"
    )

    def __str__(self) -> str:
        """For people: ``RGB, mean 0, std 255, stretched``."""
        mean, std = (" ".join(f"{n:g}" for n in each) for each in (self.mean or (0.0,), self.std))
        fit = "stretched" if self.resize == "stretch" else "letterboxed"
        return ", ".join([self.format or "RGB", f"mean {mean}", f"std {std}", fit])
