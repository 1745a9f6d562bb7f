"""Architectures, in the field names of Hugging Face config.json."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

from axsim.models.families import FAMILIES
from axsim.models.parts import Parts


RopeKind = Literal["linear", "llama3", "yarn", "longrope"]


@dataclass(frozen=True)
class RopeScaling:
    """Long-context correction of the rotary frequencies.

    * ``linear`` divides every frequency by ``factor``.
    * ``llama3`` divides the low ones only, with a smooth passage between the two wavelengths
      ``original_max_position_embeddings`` over ``low_freq_factor`` and ``high_freq_factor``
      (Llama 3.1 config.json).
    * ``yarn`` divides those that turn less than ``beta_slow`` times within the original context,
      keeps those that turn more than ``beta_fast`` times, and is linear in between (Peng et al.,
      arXiv 2309.00071); ``truncate`` widens that range to whole channels.
    * ``longrope`` divides each by its own ``short_factor``, within the original context (Ding et
      al., arXiv 2402.13753; Phi-3 config.json).

    ``attention_factor`` multiplies cosine and sine.
    """

    kind: RopeKind
    factor: float = 1.0
    low_freq_factor: float = 1.0
    high_freq_factor: float = 4.0
    original_max_position_embeddings: int = 8192
    beta_fast: float = 32.0
    beta_slow: float = 1.0
    truncate: bool = True
    short_factor: tuple[float, ...] = ()
    attention_factor: float = 1.0


@dataclass(frozen=True)
class DecoderConfig:
    """A decoder-only language model.

    ``family`` names the row of :data:`~axsim.models.families.FAMILIES` whose ``parts`` a layer has
    where none are given. ``rms_norm_eps`` is the epsilon of its norms, LayerNorms too. The rotary
    part of a head is its first ``partial_rotary_factor``.

    ``sliding_window`` is how many keys a query sees, itself among them, in every layer but
    ``full_attention_layers``; 0 means all. Layers with a window rotate with ``sliding_rope_theta``
    and no correction where that is given; ``nope_layers`` do not rotate.

    Multipliers act on embeddings, on what a layer adds to the residual, on attention scores (None:
    one over the root of head_dim) and on logits; ``attention_softcap`` and ``logit_softcap`` bound
    scores and logits by ``cap * tanh(x / cap)``, 0 leaves them alone.

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
    sliding_window: int = 0
    full_attention_layers: tuple[int, ...] = ()
    sliding_rope_theta: float | None = None
    nope_layers: tuple[int, ...] = ()
    embedding_multiplier: float = 1.0
    residual_multiplier: float = 1.0
    attention_multiplier: float | None = None
    logits_multiplier: float = 1.0
    attention_softcap: float = 0.0
    logit_softcap: float = 0.0
    parts: Parts = None  # type: ignore[assignment]  # of the family, when not given

    def __post_init__(self) -> None:
        if self.family not in FAMILIES:
            raise ValueError(f"family {self.family!r} is none of {', '.join(FAMILIES)}")
        if self.parts is None:
            object.__setattr__(self, "parts", FAMILIES[self.family].parts)
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

    def window(self, layer: int) -> int:
        """Keys that a query of ``layer`` sees, itself among them; 0 means all."""
        return 0 if layer in self.full_attention_layers else self.sliding_window

    def rotation(self, layer: int) -> Rotation:
        """How ``layer`` rotates q and k."""
        if layer in self.nope_layers:
            return Rotation(0.0, None)
        if self.window(layer) and self.sliding_rope_theta is not None:
            return Rotation(self.sliding_rope_theta, None)
        return Rotation(self.rope_theta, self.rope_scaling)


class Rotation(NamedTuple):
    """Base of the rotary frequencies, 0 for none, and their correction."""

    theta: float
    scaling: RopeScaling | None


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
