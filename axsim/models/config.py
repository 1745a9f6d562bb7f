"""Architectures, in the field names of Hugging Face config.json."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from axsim.models.families import FAMILIES, Parts


@dataclass(frozen=True)
class RopeScaling:
    """Long-context correction of the rotary frequencies.

    ``linear`` divides every frequency by ``factor``; ``llama3`` divides the low ones only, with a
    smooth passage between the two wavelengths (Llama 3.1 config.json).
    """

    kind: Literal["linear", "llama3"]
    factor: float
    low_freq_factor: float = 1.0
    high_freq_factor: float = 4.0
    original_max_position_embeddings: int = 8192


@dataclass(frozen=True)
class DecoderConfig:
    """A decoder-only language model.

    ``family`` names the row of :data:`~axsim.models.families.FAMILIES` that says which parts a
    layer has. ``rms_norm_eps`` is the epsilon of its norms, LayerNorms too. The rotary part of a
    head is its first ``partial_rotary_factor``.

    Raises ValueError when the sizes contradict each other.
    """

    family: str
    num_hidden_layers: int
    hidden_size: int
    intermediate_size: int
    num_attention_heads: int
    num_key_value_heads: int
    vocab_size: int
    head_dim: int = 0
    tie_word_embeddings: bool = False
    rms_norm_eps: float = 1e-6
    rope_theta: float = 1e6
    rope_scaling: RopeScaling | None = None
    partial_rotary_factor: float = 1.0

    def __post_init__(self) -> None:
        if self.family not in FAMILIES:
            raise ValueError(f"family {self.family!r} is none of {', '.join(FAMILIES)}")
        if not self.head_dim:
            if self.hidden_size % self.num_attention_heads:
                raise ValueError(
                    f"hidden_size {self.hidden_size} is no multiple of num_attention_heads "
                    f"{self.num_attention_heads}; give head_dim"
                )
            object.__setattr__(self, "head_dim", self.hidden_size // self.num_attention_heads)
        if self.num_attention_heads % self.num_key_value_heads:
            raise ValueError(
                f"num_attention_heads {self.num_attention_heads} is no multiple of "
                f"num_key_value_heads {self.num_key_value_heads}"
            )

    @property
    def q_dim(self) -> int:
        """Width of all query heads together."""
        return self.num_attention_heads * self.head_dim

    @property
    def kv_dim(self) -> int:
        """Width of one token's row in the K (or V) cache."""
        return self.num_key_value_heads * self.head_dim

    @property
    def rotary_dim(self) -> int:
        """Channels of each head that are rotated."""
        return int(self.head_dim * self.partial_rotary_factor)

    @property
    def parts(self) -> Parts:
        """What a layer is made of."""
        return FAMILIES[self.family].parts


@dataclass(frozen=True)
class VisionConfig:
    """A plain ViT tower: LayerNorm before attention and MLP, erf-GELU, no final norm (InternViT).

    Raises ValueError when the sizes contradict each other.
    """

    num_hidden_layers: int
    hidden_size: int
    intermediate_size: int
    num_attention_heads: int
    patch_size: int
    image_size: int
    class_token: bool = True
    layer_scale: bool = True
    qkv_bias: bool = True
    layer_norm_eps: float = 1e-6
    num_channels: int = 3

    def __post_init__(self) -> None:
        if self.hidden_size % self.num_attention_heads:
            raise ValueError(
                f"hidden_size {self.hidden_size} is no multiple of num_attention_heads "
                f"{self.num_attention_heads}"
            )
        self.grid(self.image_size)

    @property
    def head_dim(self) -> int:
        """Channels of one attention head."""
        return self.hidden_size // self.num_attention_heads

    def grid(self, image_size: int) -> int:
        """Patches along one side; ValueError when ``image_size`` is no multiple of the patch."""
        if image_size <= 0 or image_size % self.patch_size:
            raise ValueError(
                f"image size {image_size} is no positive multiple of the patch size "
                f"{self.patch_size}"
            )
        return image_size // self.patch_size

    def tokens(self, image_size: int) -> int:
        """Tokens inside the tower, the class token included."""
        return self.grid(image_size) ** 2 + self.class_token


@dataclass(frozen=True)
class ProjectorConfig:
    """InternVL's projector: pixel shuffle by ``downsample_ratio``, then LayerNorm, Linear, GELU,
    Linear into the decoder's hidden size. The epsilon is torch's LayerNorm default."""

    hidden_size: int
    downsample_ratio: float = 0.5
    layer_norm_eps: float = 1e-5

    @property
    def block(self) -> int:
        """Patches along each side that one image token joins."""
        return round(1 / self.downsample_ratio)


@dataclass(frozen=True)
class ModelConfig:
    """A vision-language model, or its decoder or tower alone."""

    decoder: DecoderConfig | None
    vision: VisionConfig | None = None
    projector: ProjectorConfig | None = None
