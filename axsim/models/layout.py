"""Names of tensors in checkpoints: where each of ours lies, whole or as rows of a larger one."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass, replace
from math import prod

import numpy as np

from axsim.kernels.array import Array
from axsim.models.config import DecoderConfig, ModelConfig, VisionConfig
from axsim.models.families import FAMILIES, Json
from axsim.models.joins import JOINS, Join
from axsim.models.towers import TOWERS, Tower, tower_of
from axsim.models.weights import DECODER

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Stored:
    """A stored tensor that makes up one of ours, or a run of its rows.

    Where matrices are fused, ours are the rows from ``start`` to ``stop`` of each of ``groups``
    groups of ``height`` rows; ``height`` 0 means that all rows are ours. ``transposed``: the stored
    matrix is [in, out]; ``pixels_last``: it is [out, height * width * channels] of a convolution.
    ``offset`` is added to what is stored. ``reshaped``: the stored tensor may have its elements in
    other dimensions than ours.
    """

    name: str
    groups: int = 1
    height: int = 0
    start: int = 0
    stop: int = 0
    transposed: bool = False
    pixels_last: bool = False
    offset: float = 0.0
    reshaped: bool = False

    def shape(self, ours: Shape) -> Shape:
        """The shape of the stored tensor."""
        if self.pixels_last:
            return ours[0], prod(ours[1:])
        if self.transposed:
            return ours[::-1]
        return (self.groups * self.height, *ours[1:]) if self.height else ours

    def fits(self, ours: Shape, stored: Shape) -> bool:
        """Whether a stored tensor of that shape makes up ours."""
        expected = self.shape(ours)
        return stored == expected or (self.reshaped and prod(stored) == prod(expected))

    def take(self, stored: Array) -> Array:
        """Ours, of the stored tensor or of anything that has its rows."""
        if self.transposed:
            stored = stored.T
        if self.height:
            grouped = stored.reshape(self.groups, self.height, *stored.shape[1:])
            stored = grouped[:, self.start : self.stop].reshape(-1, *stored.shape[1:])
        return np.ascontiguousarray(stored) + np.float32(self.offset) if self.offset else stored


@dataclass(frozen=True)
class Layout:
    """Where a checkpoint's parts stand: ``vision`` and ``projector`` are the beginnings of their
    tensors' names, ``decoder`` that of the names that a decoder alone has; ``model.`` means that
    its own ``model.`` has become ``model.language_model.`` and the head stands outside."""

    tower: Tower | None = None
    join: Join | None = None
    vision: str = ""
    projector: str = ""
    decoder: str = ""

    def sources(self, model: ModelConfig, name: str) -> tuple[Stored, ...]:
        """The stored tensors whose rows, one after the other, make up ours called ``name``."""
        if model.decoder is not None and name.startswith(DECODER):
            stored = decoder_source(model.decoder, name.removeprefix(DECODER))
            return (replace(stored, name=self.in_decoder(stored.name)),)
        assert model.vision is not None
        if name.startswith(("mlp1.", "deepstack.", "resampler.", "cross.")):
            return (self._of_projector(name, model.decoder),)
        if name == "image_newline":
            outer = "model." if self.decoder == "model." else ""
            return (Stored(f"{outer}{name}"),)
        return self._of_tower(model.vision, name)

    def in_decoder(self, name: str) -> str:
        """Where a tensor of a decoder alone stands here."""
        if self.decoder in ("model.text_model", "model.decoder"):
            return name if name.startswith("lm_head") else name.replace("model", self.decoder, 1)
        if self.decoder != "model.":
            return self.decoder + name
        return name.replace("model.", "model.language_model.", 1)

    def _of_projector(self, name: str, decoder: DecoderConfig | None) -> Stored:
        assert self.join is not None
        if name.startswith("resampler.") and decoder is not None:
            return _of_resampler(name, decoder.hidden_size)
        module, _, kind = name.rpartition(".")
        numbered = re.sub(r"^(deepstack|cross)\.\d+", r"\1.{}", module)
        number = re.findall(r"^(?:deepstack|cross)\.(\d+)", module)
        theirs = self.join.modules[numbered].format(*number)
        stored = theirs if theirs.endswith("_weight") else f"{theirs}.{kind}"
        norm = module.endswith(".0")
        offset = self.join.norm_offset if norm and kind == "weight" else 0.0
        turned = self.join.transposed and not norm and kind == "weight"
        return Stored(self.projector + stored, transposed=turned, offset=offset)

    def _of_tower(self, vision: VisionConfig, name: str) -> tuple[Stored, ...]:
        assert self.tower is not None
        names = self.tower.names
        name = name.removeprefix("vision_model.")
        if name.startswith("pool.dense.") and not vision.pool_tanh:  # beside the tower
            return (Stored(name.replace("pool.dense", self.tower.head)),)
        if name in names:  # a tensor that is no module's weight or bias
            return (Stored(self.vision + names[name], reshaped=True),)
        path, kind = "", ""
        if name.endswith((".weight", ".bias")):
            name, _, kind = name.rpartition(".")
        if match := re.match(r"encoder\.layers\.(\d+)\.", name):
            path, name = f"{names.get('layers', 'encoder.layers')}.{match[1]}.", name[match.end() :]
        theirs = f"{self.vision}{path}{names.get(name, name)}"
        if theirs.endswith("_"):
            return (_third(theirs + kind, name[-1], vision.hidden_size),)
        stored = f"{theirs}.{kind}" if kind else theirs
        if name in _GATE_UP and names.get(_GATE_UP[0]) == names.get(_GATE_UP[1]) is not None:
            width = vision.intermediate_size
            start = width * _GATE_UP.index(name)
            return (Stored(stored, 1, 2 * width, start, start + width),)
        pixels_last = self.tower.pixels_last and name.endswith("patch_embedding")
        if "{}" not in stored:
            last = pixels_last and kind == "weight"
            return (Stored(stored, pixels_last=last, reshaped=not last),)
        letters = ("query", "key", "value") if "attention.attention" in stored else ("q", "k", "v")
        return tuple(Stored(stored.format(letter)) for letter in letters)


def _of_resampler(name: str, width: int) -> Stored:
    """MiniCPM-V's names: torch's attention with one matrix of q, k and v."""
    part, _, kind = name.removeprefix("resampler.").partition(".")
    if part in ("q", "k", "v"):
        return _third(f"resampler.attn.in_proj_{kind}", part, width)
    if part == "out":  # multiplied from the left
        return Stored("resampler.proj", transposed=True)
    return Stored(name.replace(".proj.", ".attn.out_proj."))


def _third(name: str, part: str, width: int) -> Stored:
    """The rows of q, k or v in one matrix of all three."""
    start = "qkv".index(part) * width
    return Stored(name, 1, 3 * width, start, start + width)


def layout_of(names: Collection[str], description: Json) -> Layout:
    """The layout that stored names follow: config.json says what stands in them, the names
    themselves where."""
    kind = str(description.get("model_type"))
    join = JOINS.get(kind)
    if join is None:
        tower = tower_of(description)
        if tower is None:
            return Layout()
        patches = tower.names.get("embeddings.patch_embedding", "embeddings.patch_embedding")
        ends = (name.removesuffix(f"{patches}.weight") for name in names if patches in name)
        return Layout(tower, vision=min(ends, key=len, default=""))
    inner = description.get("vision_config") or {}
    tower = TOWERS[str(inner.get("model_type") or join.tower_type)]
    for vision, projector, decoder in join.prefixes:
        if any(name.startswith(vision) for name in names):
            return Layout(tower, join, vision, projector, decoder)
    return Layout(tower, join, *join.prefixes[0])


def decoder_source(cfg: DecoderConfig, name: str) -> Stored:
    """Where a decoder's tensor lies in a checkpoint of its own, by its family's names."""
    names = FAMILIES[cfg.family].names
    module, _, kind = name.rpartition(".")
    path, inner = _split(module)
    heads, kv, d = cfg.num_attention_heads, cfg.num_key_value_heads, cfg.head_dim
    if names.qkv and inner in _QKV:
        groups = kv if names.by_group else 1
        starts = (0, heads * d, (heads + kv) * d, (heads + 2 * kv) * d)
        index = _QKV.index(inner)
        start, stop = (at // groups for at in starts[index : index + 2])
        return Stored(f"{path}{names.qkv}.{kind}", groups, starts[3] // groups, start, stop)
    if names.gate_up and inner in _GATE_UP:
        width = cfg.intermediate_size
        start = width * _GATE_UP.index(inner)
        return Stored(f"{path}{names.gate_up}.{kind}", 1, 2 * width, start, start + width)
    stored = f"{path}{names.modules.get(inner, inner)}.{kind}"
    offset = names.norm_offset if "norm" in inner and kind == "weight" else 0.0
    return Stored(stored, offset=offset)


def _split(module: str) -> tuple[str, str]:
    """What stands before a module, ``model.layers.0.`` or ``model.`` or nothing, and its name."""
    match = _PATH.match(module)
    assert match is not None
    return match[1] or "", match[2]


_PATH = re.compile(r"(model\.layers\.\d+\.|model\.)?(.+)")
_QKV = ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj")
_GATE_UP = ("mlp.gate_proj", "mlp.up_proj")


_IGNORED = re.compile(
    r"\.(rotary_emb|rotary_pos_emb)\.inv_freq$|\.attention\.(masked_)?bias$|\.position_ids$"
)
"""Buffers that some checkpoints carry and that configurations determine."""

_TEXT_TOWER = ("text_model.", "text_projection.", "logit_scale", "logit_bias")
"""The other half of a dual encoder, which is not deployed with the tower."""
_PICTURE_MAKER = (
    "model.vqmodel.", "model.generation_embeddings.", "model.generation_aligner.",
    "model.generation_head.",
)  # fmt: skip
"""Of Janus, see :mod:`axsim.models.picture_maker`."""


def ignored(name: str) -> bool:
    """Whether a stored tensor is a buffer without information, or of a part that is not deployed: a
    dual encoder's text tower, or what makes pictures."""
    return _IGNORED.search(name) is not None or name.startswith((*_TEXT_TOWER, *_PICTURE_MAKER))
