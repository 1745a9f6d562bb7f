"""Architectures, in the field names of Hugging Face config.json."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

from axsim.models.families import FAMILIES
from axsim.models.parts import ActivationName, Norm, Parts

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

    ``mrope_section``: how many rotated pairs turn with a token's time, row and column, one after
    the other or, ``mrope_interleaved``, in turn; empty where there is one position only (Qwen2-VL).

    ``position_rows``: rows of a learnt table of positions, added to embeddings by the host, in
    place of any rotation; 0 for none. ``cross_tokens``: rows of an encoder that every layer attends
    to as well, in a second attention behind the first; 0 for none (Whisper).

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
    mrope_section: tuple[int, ...] = ()
    mrope_interleaved: bool = False
    position_rows: int = 0
    cross_tokens: int = 0
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

    @property
    def position_axes(self) -> int:
        """Positions that a token has: one, or time, row and column."""
        return 3 if self.mrope_section else 1

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


Pixels = int | tuple[int, int]
"""Image size in pixels: one side of a square, or height and width."""

Rotary = Literal["none", "qwen2_vl", "pixtral", "dinov3"]


@dataclass(frozen=True)
class VisionConfig:
    """A vision transformer. The defaults are those of InternViT-300M.

    * ``norm`` is the operator of every norm; ``pre_norm`` one before the first layer, ``post_norm``
      one after the last
    * ``class_token``, ``distillation_token`` and ``register_tokens`` stand before the patches; the
      last have no position
    * ``position``: a ``learned`` table for images of ``position_size`` pixels (0: ``image_size``),
      resampled to other sizes, or ``none``; ``resampling`` is ``bicubic``, ``bilinear``,
      bilinear with both ``corners`` in place (Qwen3-VL), or takes the ``nearest`` row before
      (Idefics)
    * ``rotary``: how queries and keys of patches are rotated by row and column: ``qwen2_vl`` with
      the same frequencies for both, ``pixtral`` with every other one for each, ``dinov3`` with
      coordinates from -1 to 1
    * ``gated``: the MLP is ``down(act(gate(x)) * up(x))``, else ``fc2(act(fc1(x)))``
    * ``qk_norm``: RMSNorm of q and k over all heads together
    * ``window_size``: pixels along a side of the windows that attention stays within, in every
      layer but ``full_attention_layers``; 0 for none
    * ``temporal_patch_size``: frames that a patch spans; a still image is repeated
    * ``feature_layer``: the layer whose output counts, from the end
    * ``pool``: the output is one row, the ``class`` token's or one of ``attention`` with a learnt
      query (SigLIP); ``pool_width``: then a linear layer of that width, with tanh if ``pool_tanh``
    * ``stem``: ``patches`` of a picture, or ``sound``: a spectrogram of ``num_channels`` mel bins
      and ``image_size`` frames, through two convolutions of 3 frames with a GELU behind each, the
      second with a stride of ``patch_size`` frames (Whisper)
    * ``idle``: parts that checkpoints hold and nothing uses: post_norm, pool, mask_token, newline

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
    norm: Norm = "LayerNormalization"
    pre_norm: bool = False
    post_norm: bool = False
    distillation_token: bool = False
    register_tokens: int = 0
    position: Literal["learned", "none"] = "learned"
    position_size: int = 0
    resampling: Literal["bicubic", "bilinear", "corners", "nearest"] = "bicubic"
    rotary: Rotary = "none"
    rotary_theta: float = 10_000.0
    activation: ActivationName = "gelu"
    gated: bool = False
    mlp_bias: bool = True
    key_bias: bool = True
    output_bias: bool = True
    patch_bias: bool = True
    qk_norm: bool = False
    window_size: int = 0
    full_attention_layers: tuple[int, ...] = ()
    temporal_patch_size: int = 1
    feature_layer: int = -1
    pool: Literal["none", "class", "attention"] = "none"
    pool_width: int = 0
    pool_bias: bool = True
    pool_tanh: bool = False
    stem: Literal["patches", "sound"] = "patches"
    idle: tuple[str, ...] = ()
    image_mean: tuple[float, ...] = (0.485, 0.456, 0.406)
    image_std: tuple[float, ...] = (0.229, 0.224, 0.225)

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

    @property
    def prefix_tokens(self) -> int:
        """Tokens before the patches."""
        return self.class_token + self.distillation_token + self.register_tokens

    @property
    def positions(self) -> tuple[int, int]:
        """Rows and columns of the table of positions."""
        return self.grid(self.position_size or self.image_size)

    @property
    def layers(self) -> int:
        """Layers up to the one whose output counts."""
        return self.num_hidden_layers + 1 + self.feature_layer

    def grid(self, image_size: Pixels) -> tuple[int, int]:
        """Rows and columns of patches; pixels that fill none are dropped, as the convolution drops
        them. ValueError when the image is smaller than a patch."""
        height, width = self.canvas(image_size)
        if self.stem == "sound":
            return 1, -(-width // self.patch_size)
        if min(height, width) < self.patch_size:
            raise ValueError(f"image size {image_size} has no patches of {self.patch_size} pixels")
        return height // self.patch_size, width // self.patch_size

    def canvas(self, image_size: Pixels) -> tuple[int, int]:
        """Rows and columns of what the tower is given: pixels, or one row of frames."""
        height, width = sides(image_size)
        return (1, width) if self.stem == "sound" else (height, width)

    def tokens(self, image_size: Pixels) -> int:
        """Tokens inside the tower, those before the patches included."""
        rows, columns = self.grid(image_size)
        return rows * columns + self.prefix_tokens


def size_text(image_size: Pixels) -> int | str:
    """An image size for people: 448, or 448x672, height first."""
    return image_size if isinstance(image_size, int) else "x".join(map(str, image_size))


def sides(image_size: Pixels) -> tuple[int, int]:
    """Height and width in pixels."""
    return (image_size, image_size) if isinstance(image_size, int) else image_size


@dataclass(frozen=True)
class ProjectorConfig:
    """Joins a tower to a decoder of ``hidden_size``. The defaults are those of InternVL: pixel
    shuffle by ``downsample_ratio``, LayerNorm (torch's epsilon), Linear, GELU, Linear.

    * ``join``: what becomes of a block of patches: their channels side by side, ``concat`` patch
      after patch, ``channels`` channel after channel; or their ``average``
    * ``norm`` comes after that, or before it with ``norm_first``
    * ``joined_size``: a matrix without bias right after joining (Mistral 3); 0 for none
    * ``layers`` linear layers with ``activation`` between them, ``inner_size`` channels there (0:
      ``hidden_size``), each with a ``bias``
    * ``deepstack_layers``: tower layers whose outputs go through projectors of their own, with the
      norm after joining, and are added to image rows after the first decoder layers (Qwen3-VL)
    * ``sees_ahead``: what a row may look at behind itself: ``nothing``; rows of an ``image`` all of
      this image (Gemma 3); every row the whole ``prompt`` (PaliGemma)
    * ``queries``: in place of all of the above, so many learnt rows that attend to all patches
      (MiniCPM-V's resampler)
    * ``cross_layers``: in place of all of the above, keys and values of so many decoder layers,
      which attend to the tower's rows: none of these stands in the prompt (Whisper)
    """

    hidden_size: int
    downsample_ratio: float = 0.5
    layer_norm_eps: float = 1e-5
    join: Literal["concat", "channels", "average"] = "concat"
    norm: Norm | Literal["none"] = "LayerNormalization"
    norm_first: bool = False
    joined_size: int = 0
    layers: int = 2
    inner_size: int = 0
    bias: bool = True
    activation: ActivationName = "gelu"
    deepstack_layers: tuple[int, ...] = ()
    sees_ahead: Literal["nothing", "image", "prompt"] = "nothing"
    queries: int = 0
    cross_layers: int = 0

    @property
    def block(self) -> int:
        """Patches along each side that one image token joins."""
        return round(1 / self.downsample_ratio)

    def tokens(self, grid: tuple[int, int]) -> int:
        """Image tokens of a grid of patches."""
        if self.cross_layers:
            return 0
        return self.queries or (grid[0] // self.block) * (grid[1] // self.block)


@dataclass(frozen=True)
class ModelConfig:
    """A vision-language model, or its decoder or tower alone."""

    decoder: DecoderConfig | None
    vision: VisionConfig | None = None
    projector: ProjectorConfig | None = None

    @property
    def hears(self) -> bool:
        """Whether its vision part is an encoder of sound."""
        return self.vision is not None and self.vision.stem == "sound"

    def image_tokens(self, image_size: Pixels) -> int:
        """Rows that the vision part makes of one image; 0 without one."""
        if self.vision is None:
            return 0
        if self.projector is not None:
            return self.projector.tokens(self.vision.grid(image_size))
        return 1 if self.vision.pool != "none" else self.vision.tokens(image_size)
