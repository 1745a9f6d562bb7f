"""Names of tensors in checkpoints: where each of ours lies, whole or as rows of a larger one."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from axsim.kernels.array import Array
from axsim.models.config import DecoderConfig
from axsim.models.families import FAMILIES
from axsim.models.weights import DECODER

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Stored:
    """A stored tensor that makes up one of ours, or a run of its rows.

    Where matrices are fused, ours are the rows from ``start`` to ``stop`` of each of ``groups``
    groups of ``height`` rows; ``height`` 0 means that all rows are ours. ``transposed``: the stored
    matrix is [in, out]. ``offset`` is added to what is stored.
    """

    name: str
    groups: int = 1
    height: int = 0
    start: int = 0
    stop: int = 0
    transposed: bool = False
    offset: float = 0.0

    def shape(self, ours: Shape) -> Shape:
        """The shape of the stored tensor."""
        if self.transposed:
            return ours[::-1]
        return (self.groups * self.height, *ours[1:]) if self.height else ours

    def take(self, stored: Array) -> Array:
        """Ours, of the stored tensor or of anything that has its rows."""
        if self.transposed:
            stored = stored.T
        if self.height:
            grouped = stored.reshape(self.groups, self.height, *stored.shape[1:])
            stored = grouped[:, self.start : self.stop].reshape(-1, *stored.shape[1:])
        return np.ascontiguousarray(stored) + np.float32(self.offset) if self.offset else stored


Sources = Callable[[str], tuple[Stored, ...]]
"""Gives the stored tensors whose rows, one after the other, make up one of ours."""


@dataclass(frozen=True)
class Layout:
    """``tower`` says where tensors of the vision part and projector lie; ``decoder`` what becomes
    of the names that the decoder's tensors have in a checkpoint of its own."""

    tower: Sources
    decoder: Callable[[str], str]

    def sources(self, cfg: DecoderConfig | None, name: str) -> tuple[Stored, ...]:
        """Where the tensor of ours called ``name`` lies."""
        if cfg is None or not name.startswith(DECODER):
            return self.tower(name)
        stored = decoder_source(cfg, name.removeprefix(DECODER))
        return (replace(stored, name=self.decoder(stored.name)),)


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


def same(name: str) -> tuple[Stored, ...]:
    """The tensor under our own name."""
    return (Stored(name),)


plain_decoder = Layout(same, lambda name: name)
"""Checkpoints of a decoder alone."""

opengvlab = Layout(same, lambda name: DECODER + name)
"""Our own names: OpenGVLab's InternVL checkpoints."""


def under_model(name: str) -> str:
    """The decoder's names in transformers' vision-language models since 4.52: ``model.`` becomes
    ``model.language_model.``, the head stays outside."""
    if name.startswith("model."):
        return f"model.language_model.{name.removeprefix('model.')}"
    return name


_IGNORED = re.compile(
    r"\.rotary_emb\.inv_freq$|\.attention\.(masked_)?bias$|\.position_ids$|rotary_pos_emb\.inv_freq$"
)
"""Buffers that some checkpoints carry and that configurations determine."""


def ignored(name: str) -> bool:
    """Whether a stored tensor is a buffer without information."""
    return _IGNORED.search(name) is not None
