"""Architectures as descriptors give them: config.json's field names, validated and explained.

Each section mirrors one dataclass of :mod:`axsim.models.config` field by field (a test compares
them) and adds what a file needs: bounds, explanations, and errors that name file and line.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

from pydantic import Field, PositiveInt, model_validator

from axsim.errors import Fault, checked
from axsim.models.config import (
    DecoderConfig,
    ModelConfig,
    ProjectorConfig,
    RopeScaling,
    VisionConfig,
)
from axsim.models.families import FAMILIES
from axsim.spec.descriptor import Section

if TYPE_CHECKING:
    FamilyName = str
else:
    FamilyName = Literal[tuple(FAMILIES)]


class VisionSection(Section):
    """A plain ViT tower."""

    num_hidden_layers: PositiveInt = Field(description="encoder layers")
    hidden_size: PositiveInt = Field(description="channels of a token")
    intermediate_size: PositiveInt = Field(description="channels inside the MLP")
    num_attention_heads: PositiveInt = Field(description="heads of self-attention")
    patch_size: PositiveInt = Field(description="pixels along one side of a patch")
    image_size: PositiveInt = Field(description="pixels along one side that it was trained for")
    class_token: bool = Field(True, description="one more token than there are patches")
    layer_scale: bool = Field(True, description="a learnt scale on each residual branch")
    qkv_bias: bool = Field(True, description="bias on query, key and value")
    layer_norm_eps: float = Field(1e-6, gt=0, description="epsilon of LayerNorm")
    num_channels: PositiveInt = Field(3, description="colour channels of the image")

    @model_validator(mode="after")
    def _consistent(self) -> VisionSection:
        faults = [*_divides(self, "hidden_size", "num_attention_heads")]
        faults += _divides(self, "image_size", "patch_size")
        return checked(self, faults)


class RopeScalingSection(Section):
    """Long-context correction of the rotary frequencies."""

    kind: Literal["linear", "llama3"] = Field(description="rule of the correction")
    factor: float = Field(gt=0, description="how much slower the low frequencies turn")
    low_freq_factor: float = Field(1.0, gt=0, description="where llama3 starts to correct")
    high_freq_factor: float = Field(4.0, gt=0, description="where llama3 corrects fully")
    original_max_position_embeddings: PositiveInt = Field(8192, description="context trained for")


class DecoderSection(Section):
    """A decoder-only language model."""

    family: FamilyName = Field(description="which parts a layer has: biases, q/k norm, kind of MLP")
    num_hidden_layers: PositiveInt = Field(description="decoder layers")
    hidden_size: PositiveInt = Field(description="channels of the hidden state")
    intermediate_size: PositiveInt = Field(description="channels inside the MLP")
    num_attention_heads: PositiveInt = Field(description="query heads")
    num_key_value_heads: PositiveInt = Field(description="key and value heads")
    vocab_size: PositiveInt = Field(description="rows of the embedding table and of the head")
    head_dim: PositiveInt | None = Field(None, description="channels of one head")
    tie_word_embeddings: bool = Field(False, description="the head is the embedding table")
    rms_norm_eps: float = Field(1e-6, gt=0, description="epsilon of the norms")
    rope_theta: float = Field(1e6, gt=0, description="base of the rotary frequencies")
    rope_scaling: RopeScalingSection | None = Field(None, description="long-context correction")
    partial_rotary_factor: float = Field(1.0, gt=0, le=1, description="part of a head rotated")

    @model_validator(mode="after")
    def _consistent(self) -> DecoderSection:
        faults = [*_divides(self, "num_attention_heads", "num_key_value_heads")]
        if self.head_dim is None:
            faults += _divides(self, "hidden_size", "num_attention_heads")
        elif self.head_dim % 2:
            faults.append(Fault("head_dim", f"found {self.head_dim}", "an even number"))
        return checked(self, faults)


class ProjectorSection(Section):
    """Joins the tower to the decoder: pixel shuffle, LayerNorm, Linear, GELU, Linear."""

    hidden_size: PositiveInt = Field(description="channels between the two linears and after them")
    downsample_ratio: float = Field(
        0.5, gt=0, le=1, description="image tokens per patch along one side"
    )
    layer_norm_eps: float = Field(1e-5, gt=0, description="epsilon of LayerNorm")

    @model_validator(mode="after")
    def _consistent(self) -> ProjectorSection:
        block = 1 / self.downsample_ratio
        whole = abs(block - round(block)) < 1e-6
        found = f"found {self.downsample_ratio}"
        fault = Fault("downsample_ratio", found, "1 / N for a whole number N, such as 0.5")
        return checked(self, () if whole else (fault,))


class ModelSection(Section):
    """The architecture: a vision tower, a decoder, or both with a projector between them."""

    vision: VisionSection | None = Field(None, description="the vision tower")
    projector: ProjectorSection | None = Field(None, description="joins tower and decoder")
    decoder: DecoderSection | None = Field(None, description="the language model")
    vocab_size: PositiveInt | None = Field(
        None, description="vocabulary of this model, where it differs from the decoder's"
    )

    @model_validator(mode="after")
    def _consistent(self) -> ModelSection:
        faults: list[Fault] = []
        if self.vision is None and self.decoder is None:
            faults.append(Fault((), "holds neither part", "vision, decoder or both"))
        if self.vision and self.decoder and self.projector is None:
            what = "missing: without it the tower's states can't enter the decoder"
            faults.append(Fault("projector", what, "hidden_size, downsample_ratio"))
        if self.projector and self.vision is None:
            faults.append(Fault("projector", "joins nothing: there is no vision tower"))
        if self.vocab_size and self.decoder is None:
            faults.append(Fault("vocab_size", "belongs to nothing: there is no decoder"))
        if (
            self.projector
            and self.decoder
            and self.projector.hidden_size != self.decoder.hidden_size
        ):
            found = f"found {self.projector.hidden_size}, which the decoder can't take"
            allowed = f"{self.decoder.hidden_size}, its hidden_size"
            faults.append(
                Fault("projector.hidden_size", found, allowed, also=["decoder.hidden_size"])
            )
        return checked(self, faults)

    def config(self) -> ModelConfig:
        """The architecture as :mod:`axsim.models` takes it."""
        vision = projector = decoder = None
        if self.vision:
            vision = VisionConfig(**self.vision.model_dump())
        if self.projector:
            projector = ProjectorConfig(**self.projector.model_dump())
        if self.decoder:
            fields = self.decoder.model_dump(exclude={"rope_scaling"})
            fields["head_dim"] = fields["head_dim"] or 0  # the dataclass derives it
            fields["vocab_size"] = self.vocab_size or fields["vocab_size"]
            scaling = self.decoder.rope_scaling
            rope = RopeScaling(**scaling.model_dump()) if scaling else None
            decoder = DecoderConfig(**fields, rope_scaling=rope)
        return ModelConfig(decoder, vision, projector)


def _divides(section: Section, key: str, by: str) -> Iterator[Fault]:
    value, divisor = getattr(section, key), getattr(section, by)
    if value % divisor:
        yield Fault(key, f"found {value}", f"a multiple of {by}, {divisor}", also=[by])
