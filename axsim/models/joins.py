"""Vision-language models: how a tower and a decoder are joined in config.json and in checkpoints.

To add a way of joining them, add its row to :data:`JOINS`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from axsim.models.config import VisionConfig
from axsim.models.layout import Layout, hf_internvl, hf_internvl_4_52, opengvlab, plain_decoder
from axsim.models.weights import DECODER

Json = Mapping[str, Any]


@dataclass(frozen=True)
class Join:
    """One row.

    ``model_type`` is that of config.json, ``decoder`` the key of its language part. ``tower`` reads
    the vision part. ``required`` and ``tower_required`` are keys of the whole and of the vision
    part that must have this value if they are given. ``head_apart``: checkpoints store the head
    beside the embedding table, whatever the language part says. ``layouts``: how checkpoints name
    tensors, each behind beginnings of names that only it has. ``image`` are the tokens before the
    image tokens of a prompt, for each of these, and behind them.
    """

    model_type: str
    decoder: str
    tower: Callable[[Json], VisionConfig]
    required: Mapping[str, object]
    tower_required: Mapping[str, object]
    layouts: tuple[tuple[tuple[str, ...], Layout], ...]
    image: tuple[str, str, str]
    head_apart: bool = False


def language_part(config: Json) -> Json:
    """The language part of a joined model's config.json; empty where the whole is a decoder."""
    parts = (config.get(join.decoder) for join in JOINS.values())
    return next((part for part in parts if part), {})


def layout_of(names: Collection[str]) -> Layout:
    """The layout that stored names follow, told by tensors that only it has."""
    for join in JOINS.values():
        for beginnings, layout in join.layouts:
            if any(name.startswith(beginnings) for name in names):
                return layout
    return opengvlab if any(name.startswith(DECODER) for name in names) else plain_decoder


def _opengvlab_tower(vision: Json) -> VisionConfig:
    # It is used at force_image_size, but its position embedding has image_size.
    return _internvit(vision, vision["patch_size"], vision["image_size"], "qkv_bias")


def _hf_tower(vision: Json) -> VisionConfig:
    patch, image = _square(vision["patch_size"]), _square(vision["image_size"])
    return _internvit(vision, patch, image, "attention_bias")


def _internvit(vision: Json, patch_size: int, image_size: int, bias: str) -> VisionConfig:
    return VisionConfig(
        num_hidden_layers=vision["num_hidden_layers"],
        hidden_size=vision["hidden_size"],
        intermediate_size=vision["intermediate_size"],
        num_attention_heads=vision["num_attention_heads"],
        patch_size=patch_size,
        image_size=image_size,
        qkv_bias=vision.get(bias, False),
        layer_norm_eps=vision.get("layer_norm_eps", 1e-6),
    )


def _square(size: int | list[int]) -> int:
    if isinstance(size, int):
        return size
    if len(set(size)) != 1:
        raise ValueError(f"{size} is not square")
    return size[0]


_INTERNVL_IMAGE = ("<img>", "<IMG_CONTEXT>", "</img>")  # conversation.py of the models

_ROWS = (
    Join(  # OpenGVLab's own code
        "internvl_chat",
        "llm_config",
        _opengvlab_tower,
        required={"select_layer": -1, "ps_version": "v2"},
        tower_required={
            "qk_normalization": False, "norm_type": "layer_norm", "hidden_act": "gelu"
        },
        layouts=((("vision_model.", "mlp1."), opengvlab),),
        image=_INTERNVL_IMAGE,
        head_apart=True,
    ),
    Join(  # Hugging Face transformers
        "internvl",
        "text_config",
        _hf_tower,
        required={"vision_feature_layer": -1, "projector_hidden_act": "gelu"},
        tower_required={
            "use_qk_norm": False, "norm_type": "layer_norm", "hidden_act": "gelu",
            "use_mean_pooling": True, "use_mask_token": False,
        },
        layouts=(
            (("model.vision_tower.",), hf_internvl),
            (("vision_tower.",), hf_internvl_4_52),
        ),
        image=_INTERNVL_IMAGE,
    ),
)  # fmt: skip

JOINS: dict[str, Join] = {row.model_type: row for row in _ROWS}
"""Every way of joining tower and decoder by ``model_type`` of config.json."""
