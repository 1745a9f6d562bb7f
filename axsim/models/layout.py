"""Names of tensors in checkpoints: OpenGVLab's InternVL, Hugging Face's InternVL, plain decoders.

A layout maps our (OpenGVLab's) name of a tensor to the stored names whose rows, one after the
other, make it up: Hugging Face stores the tower's q, k and v apart.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from axsim.models.weights import DECODER

Layout = Callable[[str], tuple[str, ...]]

_HF_VISION = (
    ("vision_model.embeddings.class_embedding", "vision_tower.embeddings.cls_token"),
    (
        "vision_model.embeddings.patch_embedding.",
        "vision_tower.embeddings.patch_embeddings.projection.",
    ),
    ("vision_model.embeddings.position_embedding", "vision_tower.embeddings.position_embeddings"),
    ("vision_model.encoder.layers.", "vision_tower.encoder.layer."),
    (".attn.qkv.", ".attention.qkv_proj."),
    (".attn.proj.", ".attention.projection_layer."),
    (".norm1.", ".layernorm_before."),
    (".norm2.", ".layernorm_after."),
    (".ls1", ".lambda_1"),
    (".ls2", ".lambda_2"),
    ("mlp1.0.", "multi_modal_projector.layer_norm."),
    ("mlp1.1.", "multi_modal_projector.linear_1."),
    ("mlp1.3.", "multi_modal_projector.linear_2."),
)

_IGNORED = re.compile(r"\.rotary_emb\.inv_freq$|\.attention\.(masked_)?bias$")
"""Buffers that some checkpoints carry and that configurations determine."""


def opengvlab(name: str) -> tuple[str, ...]:
    """OpenGVLab's InternVL checkpoints: our own names."""
    return (name,)


def plain_decoder(name: str) -> tuple[str, ...]:
    """Hugging Face's Qwen2, Qwen3, Llama and Phi checkpoints."""
    return (name.removeprefix(DECODER),)


def hf_internvl(name: str) -> tuple[str, ...]:
    """Hugging Face's native InternVL as transformers 4.56 and later write it."""
    if name.startswith(DECODER):
        rest = name.removeprefix(DECODER)
        if rest.startswith("model."):
            return (f"model.language_model.{rest.removeprefix('model.')}",)
        return (rest,)
    for ours, theirs in _HF_VISION:
        name = name.replace(ours, theirs)
    return tuple(f"model.{name.replace('.qkv_', f'.{p}_')}" for p in _parts(name))


def hf_internvl_4_52(name: str) -> tuple[str, ...]:
    """Hugging Face's native InternVL as transformers 4.52 wrote it, and as its hub files are."""
    if name.startswith(DECODER):
        return (name,)
    return tuple(n.removeprefix("model.") for n in hf_internvl(name))


def ignored(name: str) -> bool:
    """Whether a stored tensor is a buffer without information."""
    return _IGNORED.search(name) is not None


def _parts(name: str) -> tuple[str, ...]:
    return ("q", "k", "v") if ".qkv_" in name else ("",)
