"""The vision towers: what config.json says of them, and how checkpoints name their tensors.

To add a tower, add its row, and what transformers assumes where config.json is silent to
:mod:`axsim.models.defaults`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from axsim.models.config import VisionConfig
from axsim.models.families import Json
from axsim.models.whisper import FRAMES_PER_ROW

_HALF = {"image_mean": (0.5, 0.5, 0.5), "image_std": (0.5, 0.5, 0.5)}
"""SigLIP's pixels, from -1 to 1."""
_CLIP_PIXELS = {
    "image_mean": (0.48145466, 0.4578275, 0.40821073),
    "image_std": (0.26862954, 0.26130258, 0.27577711),
}
"""CLIP's (preprocessor_config.json)."""


@dataclass(frozen=True)
class Tower:
    """One row.

    ``model_types`` are those of config.json's vision part. ``read`` makes a configuration of it,
    ``required`` are keys that must have this value if they are given. ``names`` maps our names of
    modules to those in checkpoints: ``layers`` is what stands before a layer's number; ``{}``
    stands for q, k and v, which are stored apart; a name that ends in ``_`` is one matrix of the
    rows of all three. ``pixels_last``: the patch embedding is stored as a matrix on the pixels of
    a patch, the channels of each together. ``head`` is a layer beside the tower, behind the pooled
    row.
    """

    model_types: tuple[str, ...]
    read: Callable[[Json], VisionConfig]
    names: Mapping[str, str]
    required: Mapping[str, object] = field(default_factory=dict)
    pixels_last: bool = False
    head: str = "classifier"


def _side(size: int | list[int] | tuple[int, ...]) -> int:
    """One side of a square that may be given as two."""
    if isinstance(size, int):
        return size
    if len(set(size)) != 1:
        raise ValueError(f"{size} is not square")
    return int(size[0])


def _transformer(vision: Json, **parts: object) -> VisionConfig:
    """What most towers call alike, and ``parts`` in addition."""
    keys = {
        "num_hidden_layers": vision["num_hidden_layers"],
        "hidden_size": vision["hidden_size"],
        "num_attention_heads": vision["num_attention_heads"],
        "num_channels": vision.get("num_channels", 3),
        "activation": vision.get("hidden_act", "gelu"),
        "class_token": False,
        "layer_scale": False,
    }
    if "patch_size" not in parts:
        keys["patch_size"] = _side(vision["patch_size"])
    if "image_size" not in parts:
        keys["image_size"] = _side(vision["image_size"])
    if "intermediate_size" not in parts:
        keys["intermediate_size"] = vision["intermediate_size"]
    if "layer_norm_eps" in vision:
        keys["layer_norm_eps"] = vision["layer_norm_eps"]
    return VisionConfig(**{**keys, **parts})


def _internvit(vision: Json) -> VisionConfig:
    return _transformer(
        vision,
        class_token=True,
        layer_scale=True,
        qkv_bias=bool(vision.get("qkv_bias", vision.get("attention_bias", False))),
        qk_norm=bool(vision.get("qk_normalization", vision.get("use_qk_norm", False))),
        norm=_NORMS[vision.get("norm_type", "layer_norm")],
    )


_NORMS = {"layer_norm": "LayerNormalization", "rms_norm": "RMSNormalization"}


def _siglip(vision: Json) -> VisionConfig:
    pooled = bool(vision.get("vision_use_head", True))
    pool = "attention" if pooled else "none"
    return _transformer(vision, post_norm=True, pool=pool, **_HALF)


def _siglip2(vision: Json) -> VisionConfig:
    side = round(vision["num_patches"] ** 0.5) * vision["patch_size"]
    pool = "attention" if vision.get("vision_use_head", True) else "none"
    return _transformer(
        vision, image_size=side, post_norm=True, pool=pool, resampling="bicubic", **_HALF
    )


def _idefics(vision: Json) -> VisionConfig:
    return _transformer(vision, post_norm=True, resampling="nearest", **_HALF)


def _janus(vision: Json) -> VisionConfig:
    width = int(vision["hidden_size"] * vision["mlp_ratio"])
    return _transformer(
        vision, intermediate_size=width, post_norm=True, qkv_bias=vision["attention_bias"], **_HALF
    )


def _clip(vision: Json) -> VisionConfig:
    names = vision.get("architectures") or ()
    projected = any(name in ("CLIPModel", "CLIPVisionModelWithProjection") for name in names)
    return _transformer(
        vision,
        class_token=True,
        pre_norm=True,
        post_norm=True,
        patch_bias=False,
        pool="class",
        pool_width=vision["projection_dim"] if projected else 0,
        pool_bias=False,
        **_CLIP_PIXELS,
    )


def _vit(vision: Json) -> VisionConfig:
    bias = vision["qkv_bias"]
    head = _vit_head(vision)
    return _transformer(vision, class_token=True, post_norm=True, qkv_bias=bias, **_HALF, **head)


def _deit(vision: Json) -> VisionConfig:
    return _transformer(
        vision,
        class_token=True,
        distillation_token=True,
        post_norm=True,
        qkv_bias=vision["qkv_bias"],
        **_vit_head(vision),
    )


def _vit_head(vision: Json) -> dict[str, object]:
    """The class token's row behind a classifier, or behind the pooler of the model itself."""
    names = vision.get("architectures") or ()
    if any(name.endswith("ForImageClassification") for name in names):
        labels = vision.get("num_labels") or len(vision.get("id2label") or ()) or 2
        return {"pool": "class", "pool_width": labels}
    width = vision.get("pooler_output_size") or vision["hidden_size"]
    return {"pool": "class", "pool_width": width, "pool_tanh": True}


def _dinov2(vision: Json) -> VisionConfig:
    masked = vision.get("use_mask_token", True)
    width = int(vision["hidden_size"] * vision["mlp_ratio"])
    gated = bool(vision.get("use_swiglu_ffn", False))
    if gated:  # two thirds of it, in whole eights
        width = (int(width * 2 / 3) + 7) // 8 * 8
    return _transformer(
        vision,
        intermediate_size=width,
        gated=gated,
        activation="silu" if gated else vision["hidden_act"],
        class_token=True,
        register_tokens=vision.get("num_register_tokens", 0),
        layer_scale=True,
        post_norm=True,
        qkv_bias=vision["qkv_bias"],
        idle=("mask_token",) if masked else (),
    )


def _dinov3(vision: Json) -> VisionConfig:
    return _transformer(
        vision,
        class_token=True,
        register_tokens=vision.get("num_register_tokens", 0),
        layer_scale=True,
        post_norm=True,
        position="none",
        rotary="dinov3",
        rotary_theta=vision["rope_theta"],
        gated=bool(vision.get("use_gated_mlp", False)),
        mlp_bias=bool(vision.get("mlp_bias", True)),
        qkv_bias=bool(vision.get("query_bias", True)),
        key_bias=bool(vision.get("key_bias", False)),
        output_bias=bool(vision.get("proj_bias", True)),
        idle=("mask_token",),
    )


def _pixtral(vision: Json) -> VisionConfig:
    rope = vision.get("rope_parameters") or {}
    return _transformer(
        vision,
        norm="RMSNormalization",
        layer_norm_eps=1e-5,
        pre_norm=True,
        position="none",
        rotary="pixtral",
        rotary_theta=float(rope.get("rope_theta") or vision["rope_theta"]),
        gated=True,
        mlp_bias=False,
        qkv_bias=False,
        output_bias=False,
        patch_bias=False,
        **_CLIP_PIXELS,
    )


_QWEN_IMAGE = 448
"""Pixels along a side of the vendor's packages of Qwen's towers, which take any size."""


def _qwen2_vl(vision: Json) -> VisionConfig:
    return VisionConfig(
        num_hidden_layers=vision["depth"],
        hidden_size=vision["embed_dim"],
        intermediate_size=int(vision["embed_dim"] * vision["mlp_ratio"]),
        num_attention_heads=vision["num_heads"],
        activation=vision["hidden_act"],
        **_QWEN,  # type: ignore[arg-type]
        patch_size=vision["patch_size"],
        patch_bias=False,
        position="none",
    )


def _qwen2_5_vl(vision: Json) -> VisionConfig:
    return VisionConfig(
        num_hidden_layers=vision["depth"],
        hidden_size=vision["hidden_size"],
        intermediate_size=vision["intermediate_size"],
        num_attention_heads=vision["num_heads"],
        activation=vision["hidden_act"],
        **_QWEN,  # type: ignore[arg-type]
        patch_size=vision["patch_size"],
        patch_bias=False,
        position="none",
        norm="RMSNormalization",
        gated=True,
        window_size=vision["window_size"],
        full_attention_layers=tuple(vision["fullatt_block_indexes"]),
    )


def _qwen3_vl(vision: Json) -> VisionConfig:
    table = round(vision["num_position_embeddings"] ** 0.5) * vision["patch_size"]
    own = _HALF | {"position_size": table}
    return VisionConfig(
        num_hidden_layers=vision["depth"],
        hidden_size=vision["hidden_size"],
        intermediate_size=vision["intermediate_size"],
        num_attention_heads=vision["num_heads"],
        activation=vision["hidden_act"],
        **{**_QWEN, **own},
        patch_size=vision["patch_size"],
        resampling="corners",
    )


def _paddleocr(vision: Json) -> VisionConfig:
    return _transformer(
        vision,
        image_size=_QWEN_IMAGE,
        position_size=vision["image_size"],
        resampling="bilinear",
        rotary="qwen2_vl",
        post_norm=True,
        **_CLIP_PIXELS,
    )


def _whisper(vision: Json) -> VisionConfig:
    return _transformer(
        vision,
        image_size=vision["num_frames"],
        patch_size=FRAMES_PER_ROW,
        stem="sound",
        layer_norm_eps=1e-5,
        post_norm=True,
        key_bias=False,
        image_mean=(0.4,),  # codes from 0 to 255 are features from -1 to 1.5
        image_std=(0.4,),
    )


_QWEN = {
    "image_size": _QWEN_IMAGE,
    "class_token": False,
    "layer_scale": False,
    "rotary": "qwen2_vl",
    "temporal_patch_size": 2,
    **_CLIP_PIXELS,
}

_CLIP_NAMES = {
    "embeddings.position_embedding": "embeddings.position_embedding.weight",
    "pre_norm": "pre_layrnorm",
    "post_norm": "post_layernorm",
    "layers": "encoder.layers",
    "norm1": "layer_norm1",
    "norm2": "layer_norm2",
    "attn.qkv": "self_attn.{}_proj",
    "attn.proj": "self_attn.out_proj",
    "pool.probe": "head.probe",
    "pool.q": "head.attention.in_proj_",
    "pool.k": "head.attention.in_proj_",
    "pool.v": "head.attention.in_proj_",
    "pool.proj": "head.attention.out_proj",
    "pool.norm": "head.layernorm",
    "pool.fc1": "head.mlp.fc1",
    "pool.fc2": "head.mlp.fc2",
}
_VIT_NAMES = {
    "embeddings.class_embedding": "embeddings.cls_token",
    "embeddings.position_embedding": "embeddings.position_embeddings",
    "embeddings.patch_embedding": "embeddings.patch_embeddings.projection",
    "post_norm": "layernorm",
    "layers": "encoder.layer",
    "norm1": "layernorm_before",
    "norm2": "layernorm_after",
}
_HF_VIT_NAMES = _VIT_NAMES | {
    "attn.qkv": "attention.attention.{}",
    "attn.proj": "attention.output.dense",
    "mlp.fc1": "intermediate.dense",
    "mlp.fc2": "output.dense",
    "pool.dense": "pooler.dense",
}
_DINO_NAMES = {
    **_HF_VIT_NAMES,
    "norm1": "norm1",
    "norm2": "norm2",
    "ls1": "layer_scale1.lambda1",
    "ls2": "layer_scale2.lambda1",
    "mlp.fc1": "mlp.fc1",
    "mlp.fc2": "mlp.fc2",
}
_QWEN_NAMES = {
    "embeddings.patch_embedding": "patch_embed.proj",
    "layers": "blocks",
    "attn.qkv": "attn.qkv",
}

_ROWS = (
    Tower(
        ("intern_vit_6b", "intern_vit"), _internvit, {"layers": "encoder.layers"},
        required={"hidden_act": "gelu", "select_layer": -1},
    ),
    Tower(
        ("internvl_vision",), _internvit,
        _VIT_NAMES | {
            "attn.qkv": "attention.{}_proj", "attn.proj": "attention.projection_layer",
            "attn.q_norm": "attention.q_norm", "attn.k_norm": "attention.k_norm",
            "ls1": "lambda_1", "ls2": "lambda_2",
        },
        required={"hidden_act": "gelu", "use_mean_pooling": True, "use_mask_token": False},
    ),
    Tower(("siglip_vision_model", "siglip"), _siglip, _CLIP_NAMES),
    Tower(("siglip2_vision_model", "siglip2"), _siglip2, _CLIP_NAMES, pixels_last=True),
    Tower(("paddleocr_vl_vision", "paddleocr_vl"), _paddleocr, _CLIP_NAMES),
    Tower(("idefics3_vision", "smolvlm_vision", "idefics3", "idefics2"), _idefics, _CLIP_NAMES),
    Tower(
        ("janus_vision_model",), _janus,
        _CLIP_NAMES | {"attn.proj": "self_attn.projection_layer"},
        required={"use_qk_norm": False},
    ),
    Tower(("clip_vision_model",), _clip, _CLIP_NAMES, head="visual_projection"),
    Tower(("vit",), _vit, _HF_VIT_NAMES),
    Tower(
        ("deit",), _deit,
        _HF_VIT_NAMES | {"embeddings.distillation_token": "embeddings.distillation_token"},
    ),
    Tower(
        ("dinov2", "dinov2_with_registers"), _dinov2,
        _DINO_NAMES | {
            "mlp.gate_proj": "mlp.weights_in", "mlp.up_proj": "mlp.weights_in",
            "mlp.down_proj": "mlp.weights_out",
        },
    ),
    Tower(
        ("dinov3_vit",), _dinov3,
        {
            **_DINO_NAMES, "embeddings.patch_embedding": "embeddings.patch_embeddings",
            "layers": "layer", "post_norm": "norm", "attn.proj": "attention.o_proj",
            "attn.qkv": "attention.{}_proj", "attn.q": "attention.q_proj",
            "attn.k": "attention.k_proj", "attn.v": "attention.v_proj",
            "mlp.fc1": "mlp.up_proj", "mlp.fc2": "mlp.down_proj",
        },
    ),
    Tower(
        ("pixtral",), _pixtral,
        {
            "embeddings.patch_embedding": "patch_conv", "pre_norm": "ln_pre",
            "layers": "transformer.layers", "norm1": "attention_norm", "norm2": "ffn_norm",
            "attn.qkv": "attention.{}_proj", "attn.proj": "attention.o_proj",
            "mlp.gate_proj": "feed_forward.gate_proj", "mlp.up_proj": "feed_forward.up_proj",
            "mlp.down_proj": "feed_forward.down_proj",
        },
        required={"hidden_act": ("gelu", "silu")},
    ),
    Tower(
        ("whisper_encoder",), _whisper,
        {
            "embeddings.conv1": "conv1", "embeddings.conv2": "conv2",
            "embeddings.position_embedding": "embed_positions.weight", "post_norm": "layer_norm",
            "layers": "layers", "norm1": "self_attn_layer_norm", "norm2": "final_layer_norm",
            "attn.q": "self_attn.q_proj", "attn.k": "self_attn.k_proj",
            "attn.v": "self_attn.v_proj", "attn.proj": "self_attn.out_proj",
            "mlp.fc1": "fc1", "mlp.fc2": "fc2",
        },
    ),
    Tower(("qwen2_vl", "qwen2_vl_vision"), _qwen2_vl, _QWEN_NAMES,
          required={"temporal_patch_size": 2}),
    Tower(("qwen2_5_vl", "qwen2_5_vl_vision"), _qwen2_5_vl, _QWEN_NAMES,
          required={"temporal_patch_size": 2}),
    Tower(
        ("qwen3_vl", "qwen3_vl_vision"), _qwen3_vl,
        _QWEN_NAMES | {
            "embeddings.position_embedding": "pos_embed.weight",
            "mlp.fc1": "mlp.linear_fc1", "mlp.fc2": "mlp.linear_fc2",
        },
        required={"temporal_patch_size": 2},
    ),
)  # fmt: skip

TOWERS: dict[str, Tower] = {kind: row for row in _ROWS for kind in row.model_types}
"""Every tower by ``model_type`` of the vision part."""


def tower_of(config: Json) -> Tower | None:
    """The tower that a config.json without a language model describes."""
    kind = str(config.get("model_type"))
    return TOWERS.get(f"{kind}_vision_model") or TOWERS.get(kind)
