"""Architectures as descriptors give them: config.json's field names, validated and explained.

Each section mirrors one dataclass of :mod:`axsim.models.config` field by field (a test compares
them) and adds what a file needs: bounds, explanations, and errors that name file and line.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Literal

from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt, model_validator

from axsim.errors import Fault, checked
from axsim.models.config import (
    DecoderConfig,
    ModelConfig,
    ProjectorConfig,
    RopeKind,
    RopeScaling,
    Rotary,
    VisionConfig,
)
from axsim.models.families import FAMILIES
from axsim.models.parts import ActivationName, Norm, Parts
from axsim.models.resampler import HEAD_DIM
from axsim.spec.descriptor import Section
from axsim.spec.limits import beyond
from axsim.spec.located import show

if TYPE_CHECKING:
    FamilyName = str
else:
    FamilyName = Literal[tuple(FAMILIES)]


class VisionSection(Section):
    """A vision transformer."""

    num_hidden_layers: PositiveInt = Field(description="encoder layers")
    hidden_size: PositiveInt = Field(description="channels of a token")
    intermediate_size: PositiveInt = Field(description="channels inside the MLP")
    num_attention_heads: PositiveInt = Field(description="heads of self-attention")
    patch_size: PositiveInt = Field(description="pixels along one side of a patch")
    image_size: PositiveInt = Field(description="pixels along one side that it was trained for")
    class_token: bool = Field(True, description="one more token than there are patches")
    layer_scale: bool = Field(True, description="a learnt scale on each residual branch")
    qkv_bias: bool = Field(True, description="bias on query, key and value")
    layer_norm_eps: float = Field(1e-6, gt=0, description="epsilon of the norms")
    num_channels: PositiveInt = Field(3, description="colour channels of the image")
    norm: Norm = Field("LayerNormalization", description="operator of every norm")
    pre_norm: bool = Field(False, description="a norm before the first layer")
    post_norm: bool = Field(False, description="a norm after the last layer")
    distillation_token: bool = Field(False, description="a second token before the patches")
    register_tokens: NonNegativeInt = Field(0, description="tokens without position before them")
    position: Literal["learned", "none"] = Field("learned", description="table of positions")
    position_size: NonNegativeInt = Field(
        0, description="pixels along one side that the table is for; 0: image_size"
    )
    resampling: Literal["bicubic", "bilinear", "corners", "nearest"] = Field(
        "bicubic", description="of that table to other image sizes"
    )
    rotary: Rotary = Field("none", description="rotation of q and k by row and column of a patch")
    rotary_theta: float = Field(10_000.0, gt=0, description="base of its frequencies")
    activation: ActivationName = Field("gelu", description="function of the MLP")
    gated: bool = Field(False, description="down(act(gate(x)) * up(x))")
    mlp_bias: bool = Field(True, description="bias of the MLP")
    key_bias: bool = Field(True, description="bias on key, where query and value have one")
    output_bias: bool = Field(True, description="bias of attention's output")
    patch_bias: bool = Field(True, description="bias of the patch embedding")
    qk_norm: bool = Field(False, description="RMSNorm of q and k over all heads together")
    window_size: NonNegativeInt = Field(
        0, description="pixels along a side of the windows that attention stays within; 0: none"
    )
    full_attention_layers: tuple[NonNegativeInt, ...] = Field(
        (), description="layers without those windows"
    )
    temporal_patch_size: PositiveInt = Field(1, description="frames that a patch spans")
    feature_layer: int = Field(-1, lt=0, description="layer whose output counts, from the end")
    pool: Literal["none", "class", "attention"] = Field(
        "none", description="one row as the output of a tower alone"
    )
    pool_width: NonNegativeInt = Field(0, description="linear layer behind that row; 0: none")
    pool_bias: bool = Field(True, description="bias of that layer")
    pool_tanh: bool = Field(False, description="tanh behind that layer")
    stem: Literal["patches", "sound"] = Field(
        "patches",
        description="what becomes tokens: patches of a picture, or image_size frames of a "
        "spectrogram with num_channels mel bins, patch_size of them a token",
    )
    idle: tuple[str, ...] = Field((), description="parts in checkpoints that nothing uses")
    image_mean: tuple[float, ...] = Field(
        (0.485, 0.456, 0.406), description="mean of each channel, of 1"
    )
    image_std: tuple[PositiveFloat, ...] = Field(
        (0.229, 0.224, 0.225), description="standard deviation of each channel, of 1"
    )

    @model_validator(mode="after")
    def _consistent(self) -> VisionSection:
        faults = [*_divides(self, "hidden_size", "num_attention_heads")]
        if (
            not faults
            and self.rotary != "none"
            and self.hidden_size // self.num_attention_heads % 4
        ):
            allowed = (
                "a multiple of 4 for each head: a pair turns with the row, one with the column"
            )
            also = ["num_attention_heads", "rotary"]
            faults.append(Fault("hidden_size", f"found {self.hidden_size}", allowed, also=also))
        if self.image_size < self.patch_size:
            what = f"found {self.image_size}"
            faults.append(Fault("image_size", what, f"at least patch_size, {self.patch_size}"))
        if self.window_size:
            faults += _divides(self, "window_size", "patch_size")
            before = ("class_token", "distillation_token", "register_tokens")
            token = next((name for name in before if getattr(self, name)), None)
            if token is not None:
                what = f"found {self.window_size}, but {token} stands in no window"
                faults.append(Fault("window_size", what, f"0, or no {token}", also=[token]))
        for name in ("image_mean", "image_std"):
            given = len(getattr(self, name))
            if given not in (1, self.num_channels):
                faults.append(Fault(name, f"found {given} numbers", "one for each channel, or one"))
        if -self.feature_layer > self.num_hidden_layers:
            what = f"found {self.feature_layer}"
            faults.append(Fault("feature_layer", what, f"-{self.num_hidden_layers} to -1"))
        return checked(self, faults)


class RopeScalingSection(Section):
    """Long-context correction of the rotary frequencies."""

    kind: RopeKind = Field(description="rule of the correction")
    factor: float = Field(1.0, gt=0, description="how much slower the low frequencies turn")
    low_freq_factor: float = Field(1.0, gt=0, description="where llama3 starts to correct")
    high_freq_factor: float = Field(4.0, gt=0, description="where llama3 corrects fully")
    original_max_position_embeddings: PositiveInt = Field(8192, description="context trained for")
    beta_fast: float = Field(32.0, gt=0, description="turns from which yarn keeps a frequency")
    beta_slow: float = Field(1.0, gt=0, description="turns up to which yarn corrects fully")
    truncate: bool = Field(True, description="whether yarn's range is widened to whole channels")
    short_factor: tuple[float, ...] = Field(
        (), description="longrope's divisor of each rotated pair within the context trained for"
    )
    attention_factor: float = Field(1.0, gt=0, description="multiplies cosine and sine")


class PartsSection(Section):
    """Parts of a decoder layer, where they are not the family's."""

    norm: Norm | None = Field(None, description="operator of every norm")
    norm_scale: bool | None = Field(None, description="learnt scale of every norm")
    norm_bias: bool | None = Field(None, description="bias of a LayerNormalization")
    pre_norm: bool | None = Field(None, description="norm before attention and before the MLP")
    post_norm: bool | None = Field(None, description="norm of what each adds to the residual")
    parallel: bool | None = Field(None, description="attention and MLP read one norm and are added")
    qkv_bias: bool | None = Field(None, description="bias of q, k and v")
    key_bias: bool | None = Field(None, description="bias on k, where q and v have one")
    output_bias: bool | None = Field(None, description="bias of attention's output")
    mlp_bias: bool | None = Field(None, description="bias of the MLP")
    head_bias: bool | None = Field(None, description="bias of the language-model head")
    qk_norm: Literal["none", "head", "width"] | None = Field(
        None, description="RMSNorm of q and k over each head or over all together"
    )
    qk_norm_after_rope: bool | None = Field(None, description="that norm after the rotation")
    interleaved: bool | None = Field(None, description="rotated pairs are neighbours")
    gated: bool | None = Field(None, description="down(act(gate(x)) * up(x))")
    activation: ActivationName | None = Field(None, description="function of the MLP")


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
    sliding_window: NonNegativeInt = Field(
        0, description="keys that a query sees, itself among them; 0 means all"
    )
    full_attention_layers: tuple[NonNegativeInt, ...] = Field(
        (), description="layers without that window"
    )
    sliding_rope_theta: float | None = Field(
        None, gt=0, description="base of the rotary frequencies in layers with a window"
    )
    nope_layers: tuple[NonNegativeInt, ...] = Field((), description="layers that do not rotate")
    embedding_multiplier: float = Field(1.0, gt=0, description="scale of embeddings")
    residual_multiplier: float = Field(1.0, gt=0, description="scale of what a layer adds")
    attention_multiplier: float | None = Field(
        None, gt=0, description="scale of attention scores; 1 / sqrt(head_dim) when not given"
    )
    logits_multiplier: float = Field(1.0, gt=0, description="scale of logits")
    attention_softcap: float = Field(0.0, ge=0, description="bound of attention scores; 0: none")
    logit_softcap: float = Field(0.0, ge=0, description="bound of logits; 0: none")
    mrope_section: tuple[PositiveInt, ...] = Field(
        (), description="rotated pairs that turn with time, row and column of a token"
    )
    mrope_interleaved: bool = Field(False, description="those pairs in turn, not in three runs")
    position_rows: NonNegativeInt = Field(
        0, description="rows of a learnt table of positions, in place of any rotation; 0: none"
    )
    cross_tokens: NonNegativeInt = Field(
        0, description="rows of an encoder that every layer attends to as well; 0: none"
    )
    parts: PartsSection = Field(PartsSection(), description="parts that are not the family's")

    @model_validator(mode="after")
    def _consistent(self) -> DecoderSection:
        faults = [*_divides(self, "num_attention_heads", "num_key_value_heads")]
        if self.head_dim is None:
            faults += _divides(self, "hidden_size", "num_attention_heads")
        head = self.head_dim or self.hidden_size // self.num_attention_heads
        if not faults and head % 2:
            if self.head_dim is None:
                what, allowed = f"found {self.hidden_size}", "an even number for each head"
                faults.append(Fault("hidden_size", what, allowed, also=["num_attention_heads"]))
            else:
                faults.append(Fault("head_dim", f"found {head}", "an even number"))
        elif not faults and int(head * self.partial_rotary_factor) < 2:
            what = f"found {self.partial_rotary_factor}, less than a pair of {head} channels"
            faults.append(Fault("partial_rotary_factor", what, f"at least {2 / head:g}"))
        elif not faults and int(head * self.partial_rotary_factor) % 2:
            turned = int(head * self.partial_rotary_factor)
            what = f"found {self.partial_rotary_factor}, which turns {turned} of {head} channels"
            faults.append(Fault("partial_rotary_factor", what, "an even number of channels"))
        pairs = int(head * self.partial_rotary_factor) // 2
        if not faults and self.mrope_section and sum(self.mrope_section) != pairs:
            what = f"found {show(self.mrope_section)}"
            faults.append(Fault("mrope_section", what, f"numbers that add up to {pairs} pairs"))
        for name in ("full_attention_layers", "nope_layers"):
            beyond = [layer for layer in getattr(self, name) if layer >= self.num_hidden_layers]
            if beyond:
                last = self.num_hidden_layers - 1
                faults.append(Fault(name, f"found {beyond[0]}", f"layers from 0 to {last}"))
        parts = self._parts
        if parts.norm_bias and parts.norm != "LayerNormalization":
            what = f"found true, but the norm is {parts.norm}"
            faults.append(Fault("parts.norm_bias", what, "false, or norm: LayerNormalization"))
        if not faults:
            faults += _long_factors(self)
        return checked(self, faults)

    @property
    def _parts(self) -> Parts:
        """Those of the family, with this model's own in their place."""
        return replace(FAMILIES[self.family].parts, **self.parts.model_dump(exclude_none=True))

    def config(self, vocab_size: int) -> DecoderConfig:
        """The decoder as :mod:`axsim.models` takes it."""
        fields = self.model_dump(exclude={"rope_scaling", "parts", "vocab_size"})
        fields["head_dim"] = fields["head_dim"] or 0  # the dataclass derives it
        scaling = self.rope_scaling
        rope = RopeScaling(**scaling.model_dump()) if scaling else None
        return DecoderConfig(**fields, vocab_size=vocab_size, rope_scaling=rope, parts=self._parts)


def _long_factors(decoder: DecoderSection) -> Iterator[Fault]:
    """A fault when longrope does not give a divisor for each rotated pair."""
    scaling = decoder.rope_scaling
    if scaling is None or scaling.kind != "longrope":
        return
    head_dim = decoder.head_dim or decoder.hidden_size // decoder.num_attention_heads
    pairs = int(head_dim * decoder.partial_rotary_factor) // 2
    if len(scaling.short_factor) != pairs:
        what = f"found {len(scaling.short_factor)} numbers"
        yield Fault("rope_scaling.short_factor", what, f"{pairs}, one for each rotated pair")


class ProjectorSection(Section):
    """Joins the tower to the decoder: pixel shuffle, LayerNorm, Linear, GELU, Linear."""

    hidden_size: PositiveInt = Field(description="channels between the two linears and after them")
    downsample_ratio: float = Field(
        0.5, gt=0, le=1, description="image tokens per patch along one side"
    )
    layer_norm_eps: float = Field(1e-5, gt=0, description="epsilon of the norm")
    join: Literal["concat", "channels", "average"] = Field(
        "concat", description="a block of patches: patch after patch, channel after channel, mean"
    )
    norm: Norm | Literal["none"] = Field("LayerNormalization", description="operator of its norm")
    norm_first: bool = Field(False, description="the norm before patches are joined")
    joined_size: NonNegativeInt = Field(0, description="a matrix right after joining; 0: none")
    layers: PositiveInt = Field(2, description="linear layers with the activation between them")
    inner_size: NonNegativeInt = Field(0, description="channels between them; 0: hidden_size")
    bias: bool = Field(True, description="bias of the linear layers")
    activation: ActivationName = Field("gelu", description="function between them")
    deepstack_layers: tuple[NonNegativeInt, ...] = Field(
        (), description="tower layers that also go to the first decoder layers"
    )
    sees_ahead: Literal["nothing", "image", "prompt"] = Field(
        "nothing", description="what a row of the prompt may look at behind itself"
    )
    queries: NonNegativeInt = Field(
        0, description="learnt rows that attend to all patches, in place of all that; 0: none"
    )
    cross_layers: NonNegativeInt = Field(
        0, description="decoder layers that attend to the tower's rows, in place of all that"
    )

    @property
    def block(self) -> int:
        """Patches along each side that one image token joins."""
        return round(1 / self.downsample_ratio)

    @model_validator(mode="after")
    def _consistent(self) -> ProjectorSection:
        block = 1 / self.downsample_ratio
        whole = abs(block - round(block)) < 1e-6
        found = f"found {self.downsample_ratio}"
        fault = Fault("downsample_ratio", found, "1 / N for a whole number N, such as 0.5")
        faults = [] if whole else [fault]
        if self.queries and self.hidden_size % HEAD_DIM:
            what = f"found {self.hidden_size} where queries is {self.queries}"
            faults.append(Fault("hidden_size", what, f"whole heads of {HEAD_DIM} channels"))
        return checked(self, faults)


class ModelSection(Section):
    """The architecture: a vision tower, a decoder, or both with a projector between them; or any
    network, from an ONNX file."""

    vision: VisionSection | None = Field(None, description="the vision tower")
    projector: ProjectorSection | None = Field(None, description="joins tower and decoder")
    decoder: DecoderSection | None = Field(None, description="the language model")
    vocab_size: PositiveInt | None = Field(
        None, description="vocabulary of this model, where it differs from the decoder's"
    )
    onnx: str | None = Field(
        None, min_length=1, description="an ONNX file in place of tower and decoder"
    )
    shapes: dict[str, tuple[PositiveInt, ...]] = Field(
        default_factory=dict,
        description="of the ONNX file's inputs, where they are dynamic or to be others",
    )
    outputs: tuple[str, ...] = Field(
        (), description="tensors at which the ONNX file's network ends, in place of its own outputs"
    )

    @model_validator(mode="after")
    def _consistent(self) -> ModelSection:
        faults = [*beyond(self, "model.")]
        if self.onnx is not None:
            faults += [
                Fault(name, "has no place beside an ONNX file", also=["onnx"])
                for name in ("vision", "projector", "decoder", "vocab_size")
                if getattr(self, name) is not None
            ]
            return checked(self, faults)
        faults += [
            Fault(name, "belongs to an ONNX file, and there is none")
            for name in ("shapes", "outputs")
            if getattr(self, name)
        ]
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
        faults += _crossed(self.vision, self.projector, self.decoder)
        return checked(self, faults)

    def config(self) -> ModelConfig:
        """The architecture as :mod:`axsim.models` takes it."""
        return self._config

    @cached_property
    def _config(self) -> ModelConfig:
        vision = projector = decoder = None
        if self.vision:
            vision = VisionConfig(**self.vision.model_dump())
        if self.projector:
            projector = ProjectorConfig(**self.projector.model_dump())
        if self.decoder:
            decoder = self.decoder.config(self.vocab_size or self.decoder.vocab_size)
        return ModelConfig(decoder, vision, projector)


def _crossed(
    vision: VisionSection | None, projector: ProjectorSection | None, decoder: DecoderSection | None
) -> Iterator[Fault]:
    """What does not fit between an encoder and a decoder that attends to it."""
    layers = projector.cross_layers if projector else 0
    expected = decoder.num_hidden_layers if decoder and decoder.cross_tokens else 0
    if layers != expected:
        allowed = f"{expected}, the decoder's layers that attend to the tower"
        key = "projector.cross_layers" if projector else "decoder.cross_tokens"
        yield Fault(key, f"found {layers}", allowed)
    elif layers and vision and decoder:
        rows = VisionConfig(**vision.model_dump()).tokens(vision.image_size)
        if rows != decoder.cross_tokens:
            what = f"found {decoder.cross_tokens}"
            yield Fault("decoder.cross_tokens", what, f"{rows}, the rows of the tower")


def _divides(section: Section, key: str, by: str) -> Iterator[Fault]:
    value, divisor = getattr(section, key), getattr(section, by)
    if value % divisor:
        yield Fault(key, f"found {value}", f"a multiple of {by}, {divisor}", also=[by])
