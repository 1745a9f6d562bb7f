"""config.json of a Hugging Face checkpoint to our configurations."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from axsim.errors import InputError
from axsim.models.config import (
    DecoderConfig,
    Family,
    ModelConfig,
    ProjectorConfig,
    RopeScaling,
    VisionConfig,
)

_FAMILIES: dict[str, Family] = {"qwen2": "qwen2", "qwen3": "qwen3", "llama": "llama", "phi": "phi2"}

Json = Mapping[str, Any]


def model_config(config: Json, source: str = "config.json") -> ModelConfig:
    """The architecture that ``config`` describes.

    Known: ``internvl_chat`` (OpenGVLab), ``internvl`` (Hugging Face) and the decoders qwen2, qwen3,
    llama and phi. Raises InputError, naming ``source`` and the key, for anything that the graphs
    cannot express.
    """
    kind = config.get("model_type")
    try:
        if kind == "internvl_chat":
            return _internvl_chat(config, source)
        if kind == "internvl":
            return _internvl(config, source)
        return ModelConfig(_decoder(config, source))
    except KeyError as error:
        raise InputError(f"{source} has no key {error.args[0]}") from None
    except (TypeError, ValueError) as error:
        raise InputError(f"{source}: {error}") from None


def _internvl_chat(config: Json, source: str) -> ModelConfig:
    vision = config["vision_config"]
    _only(vision, source, "vision_config.", "qk_normalization", False)
    _only(vision, source, "vision_config.", "norm_type", "layer_norm")
    _only(vision, source, "vision_config.", "hidden_act", "gelu")
    _only(config, source, "", "select_layer", -1)
    _only(config, source, "", "ps_version", "v2")
    # The tower is used at force_image_size, but its position embedding has image_size.
    tower = VisionConfig(
        num_hidden_layers=vision["num_hidden_layers"],
        hidden_size=vision["hidden_size"],
        intermediate_size=vision["intermediate_size"],
        num_attention_heads=vision["num_attention_heads"],
        patch_size=vision["patch_size"],
        image_size=vision["image_size"],
        qkv_bias=vision.get("qkv_bias", False),
        layer_norm_eps=vision.get("layer_norm_eps", 1e-6),
    )
    decoder = _decoder(config["llm_config"], source, "llm_config.")
    projector = ProjectorConfig(decoder.hidden_size, config.get("downsample_ratio", 0.5))
    return ModelConfig(decoder, tower, projector)


def _internvl(config: Json, source: str) -> ModelConfig:
    vision = config["vision_config"]
    _only(vision, source, "vision_config.", "use_qk_norm", False)
    _only(vision, source, "vision_config.", "norm_type", "layer_norm")
    _only(vision, source, "vision_config.", "hidden_act", "gelu")
    _only(vision, source, "vision_config.", "use_mean_pooling", True)
    _only(vision, source, "vision_config.", "use_mask_token", False)
    _only(config, source, "", "vision_feature_layer", -1)
    _only(config, source, "", "projector_hidden_act", "gelu")
    tower = VisionConfig(
        num_hidden_layers=vision["num_hidden_layers"],
        hidden_size=vision["hidden_size"],
        intermediate_size=vision["intermediate_size"],
        num_attention_heads=vision["num_attention_heads"],
        patch_size=_square(vision["patch_size"]),
        image_size=_square(vision["image_size"]),
        qkv_bias=vision.get("attention_bias", False),
        layer_norm_eps=vision.get("layer_norm_eps", 1e-6),
    )
    decoder = _decoder(config["text_config"], source, "text_config.")
    projector = ProjectorConfig(decoder.hidden_size, config.get("downsample_ratio", 0.5))
    return ModelConfig(decoder, tower, projector)


def _decoder(config: Json, source: str, prefix: str = "") -> DecoderConfig:
    kind = config.get("model_type")
    if kind not in _FAMILIES:
        known = ", ".join(["internvl_chat", "internvl", *_FAMILIES])
        raise InputError(f"{source}: {prefix}model_type is {kind!r}; known: {known}")
    family = _FAMILIES[kind]
    phi = family == "phi2"
    _only(config, source, prefix, "hidden_act", "gelu_new" if phi else "silu")
    _only(config, source, prefix, "use_sliding_window", False)
    _only(config, source, prefix, "mlp_bias", False)
    _only(config, source, prefix, "qk_layernorm", False)
    if family != "qwen2":
        _only(config, source, prefix, "attention_bias", False)
    rope = config.get("rope_parameters") or {}
    heads = config["num_attention_heads"]
    return DecoderConfig(
        family=family,
        num_hidden_layers=config["num_hidden_layers"],
        hidden_size=config["hidden_size"],
        intermediate_size=config["intermediate_size"],
        num_attention_heads=heads,
        num_key_value_heads=config.get("num_key_value_heads") or heads,
        vocab_size=config["vocab_size"],
        head_dim=config.get("head_dim") or 0,
        tie_word_embeddings=config.get("tie_word_embeddings", False),
        rms_norm_eps=config.get("layer_norm_eps", 1e-5)
        if phi
        else config.get("rms_norm_eps", 1e-6),
        rope_theta=float(rope.get("rope_theta") or config.get("rope_theta") or 10_000.0),
        rope_scaling=_rope_scaling(config.get("rope_scaling") or rope, source, prefix),
        partial_rotary_factor=rope.get("partial_rotary_factor")
        or config.get("partial_rotary_factor")
        or (0.5 if phi else 1.0),
    )


def _rope_scaling(scaling: Json, source: str, prefix: str) -> RopeScaling | None:
    kind = scaling.get("rope_type") or scaling.get("type") or "default"
    # Dynamic scaling begins beyond max_position_embeddings, which no compiled context exceeds.
    if kind in ("default", "dynamic"):
        return None
    if kind == "linear":
        return RopeScaling("linear", float(scaling["factor"]))
    if kind == "llama3":
        return RopeScaling(
            "llama3",
            float(scaling["factor"]),
            float(scaling["low_freq_factor"]),
            float(scaling["high_freq_factor"]),
            int(scaling["original_max_position_embeddings"]),
        )
    raise InputError(
        f"{source}: {prefix}rope_scaling has type {kind!r}; known: default, dynamic, linear, llama3"
    )


def _only(config: Json, source: str, prefix: str, key: str, value: object) -> None:
    """InputError when ``key`` is given and asks for something that the graphs do not have."""
    if config.get(key, value) not in (value, None):
        raise InputError(f"{source}: {prefix}{key} is {config[key]!r}; only {value!r} is supported")


def _square(size: int | list[int]) -> int:
    if isinstance(size, int):
        return size
    if len(set(size)) != 1:
        raise ValueError(f"{size} is not square")
    return size[0]
