"""config.json of small vision-language models and of towers alone."""

from typing import Any

from tests.models.small import _SIZES

_TEXT = _SIZES | {"num_hidden_layers": 2, "rope_theta": 10000.0}
_TOWER: dict[str, Any] = {
    "hidden_size": 48,
    "intermediate_size": 80,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "patch_size": 14,
    "image_size": 112,
}
_QWEN_TOWER: dict[str, Any] = {
    "depth": 3,
    "num_heads": 4,
    "patch_size": 14,
    "spatial_merge_size": 2,
    "temporal_patch_size": 2,
}


def _joined(model_type: str, text: str, vision: dict[str, Any], **keys: Any) -> dict[str, Any]:
    language = _TEXT | {"model_type": text}
    if "head_dim" in keys:
        language["head_dim"] = keys.pop("head_dim")
    if "mrope" in keys:
        language["rope_scaling"] = {"type": "default", "mrope_section": keys.pop("mrope")}
    return {"model_type": model_type, "text_config": language, "vision_config": vision, **keys}


JOINED: dict[str, dict[str, Any]] = {
    "internvl": _joined(
        "internvl", "qwen2",
        {"model_type": "internvl_vision", **_TOWER, "image_size": [112, 112],
         "patch_size": [14, 14], "attention_bias": True, "use_qk_norm": True,
         "norm_type": "rms_norm"},
        image_token_id=1, tie_word_embeddings=False,
    ),
    "qwen2_vl": _joined(
        "qwen2_vl", "qwen2_vl_text",
        {"model_type": "qwen2_vl", **_QWEN_TOWER, "embed_dim": 48, "hidden_size": 64,
         "mlp_ratio": 2},
        image_token_id=1, video_token_id=2, mrope=[2, 3, 3], tie_word_embeddings=True,
    ),
    "qwen2_5_vl": _joined(
        "qwen2_5_vl", "qwen2_5_vl_text",
        {"model_type": "qwen2_5_vl", **_QWEN_TOWER, "hidden_size": 48, "intermediate_size": 80,
         "out_hidden_size": 64, "window_size": 56, "fullatt_block_indexes": [1]},
        image_token_id=1, video_token_id=2, mrope=[2, 3, 3], tie_word_embeddings=False,
    ),
    "qwen3_vl": _joined(
        "qwen3_vl", "qwen3_vl_text",
        {"model_type": "qwen3_vl", **_QWEN_TOWER, "hidden_size": 48, "intermediate_size": 80,
         "out_hidden_size": 64, "num_position_embeddings": 36, "deepstack_visual_indexes": [0, 1]},
        image_token_id=1, video_token_id=2, mrope=[3, 3, 2], head_dim=16,
        tie_word_embeddings=True,
    ),
    "paddleocr_vl": _joined(
        "paddleocr_vl", "paddleocr_vl_text", {"model_type": "paddleocr_vl_vision", **_TOWER,
                                              "image_size": 98, "spatial_merge_size": 2},
        image_token_id=1, video_token_id=2, mrope=[2, 3, 3], head_dim=16,
        vision_start_token_id=3, vision_end_token_id=4,
    ),
    "smolvlm": _joined(
        "smolvlm", "llama", {"model_type": "smolvlm_vision", **_TOWER},
        scale_factor=4, image_token_id=1, tie_word_embeddings=False,
    ),
    "idefics3": _joined(
        "idefics3", "llama", {"model_type": "idefics3_vision", **_TOWER, "image_size": 84},
        scale_factor=3, image_token_id=1, tie_word_embeddings=False,
    ),
    "llava": _joined(
        "llava", "llama", {"model_type": "clip_vision_model", **_TOWER, "projection_dim": 32},
        image_token_index=1, vision_feature_layer=-2, tie_word_embeddings=False,
    ),
    "llava_onevision": _joined(
        "llava_onevision", "qwen2",
        {"model_type": "siglip_vision_model", **_TOWER, "image_size": 118,
         "vision_use_head": False},
        image_token_index=1, video_token_index=2, tie_word_embeddings=True,
        image_grid_pinpoints=[[118, 118]],
    ),
    "paligemma": _joined(
        "paligemma", "gemma",
        {"model_type": "siglip_vision_model", **_TOWER, "vision_use_head": False,
         "projection_dim": 64},
        projection_dim=64, hidden_size=64, image_token_index=1, head_dim=16,
    ),
    "gemma3": _joined(
        "gemma3", "gemma3_text", {"model_type": "siglip_vision_model", **_TOWER},
        mm_tokens_per_image=16, image_token_index=1, head_dim=16,
    ),
    "mistral3": _joined(
        "mistral3", "mistral", {"model_type": "pixtral", **_TOWER, "head_dim": 12},
        image_token_index=1, spatial_merge_size=2, tie_word_embeddings=False,
    ),
    "lighton_ocr": _joined(
        "lighton_ocr", "qwen3", {"model_type": "pixtral", **_TOWER, "head_dim": 12},
        image_token_id=1, spatial_merge_size=2, tie_word_embeddings=True, head_dim=16,
    ),
    "deepseek_vl": _joined(
        "deepseek_vl", "llama", {"model_type": "siglip_vision_model", **_TOWER},
        image_token_id=1, tie_word_embeddings=True,
    ),
}  # fmt: skip
"""Vision-language models, by ``model_type``."""

ALONE: dict[str, dict[str, Any]] = {
    "siglip": {"model_type": "siglip_vision_model", **_TOWER},
    "siglip2": {"model_type": "siglip2_vision_model", **_TOWER, "num_patches": 64},
    "clip": {"model_type": "clip_vision_model", **_TOWER},
    "vit": {"model_type": "vit", **_TOWER},
    "deit": {"model_type": "deit", **_TOWER},
    "dinov2": {"model_type": "dinov2", **_TOWER, "mlp_ratio": 2},
    "dinov2-swiglu": {"model_type": "dinov2", **_TOWER, "mlp_ratio": 2, "use_swiglu_ffn": True},
    "dinov2-registers": {
        "model_type": "dinov2_with_registers", **_TOWER, "mlp_ratio": 2, "num_register_tokens": 3,
    },
    "dinov3": {"model_type": "dinov3_vit", **_TOWER, "num_register_tokens": 3},
    "pixtral": {"model_type": "pixtral", **_TOWER, "head_dim": 12},
}  # fmt: skip
"""Towers alone, by a name of the test's own."""
