"""What kind of value each key of config.json has, wherever it stands."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from axsim.errors import InputError, Problem

LARGEST = 2**31 - 1
"""Of any size; more elements than that along one side no checkpoint has."""
MOST_LAYERS, MOST = 1000, 1e30
SHOWN = 60
"""Characters of a value that a message shows."""


class Kind(NamedTuple):
    """``holds`` says whether a value is of the kind, ``allowed`` tells people."""

    holds: Callable[[Any], bool]
    allowed: str


def _whole(value: Any, least: int = 1, most: int = LARGEST) -> bool:
    return type(value) is int and least <= value <= most


def _number(value: Any) -> bool:
    return type(value) in (int, float) and abs(value) < MOST


def _list(value: Any, each: Callable[[Any], bool]) -> bool:
    return isinstance(value, list | tuple) and all(map(each, value))


_SIZE = Kind(_whole, "a whole number of at least 1")
_OPTIONAL_SIZE = Kind(lambda v: v is None or _whole(v), "a whole number of at least 1, or null")
_COUNT = Kind(lambda v: v is None or _whole(v, 0), "a whole number of at least 0, or null")
_LAYERS = Kind(lambda v: _whole(v, 1, MOST_LAYERS), f"a whole number from 1 to {MOST_LAYERS}")
_POSITIVE = Kind(
    lambda v: v is None or (_number(v) and v > 0), f"a number greater than 0, below {MOST:g}"
)
_NUMBER = Kind(lambda v: v is None or (_number(v) and v >= 0), "a number of at least 0, or null")
_SIDES = Kind(lambda v: _whole(v) or (_list(v, _whole) and len(v) > 0), "pixels, or a list of them")
_MAPPING = Kind(lambda v: v is None or isinstance(v, dict), "a mapping")
_TEXT = Kind(lambda v: v is None or isinstance(v, str), "text")
_TEXTS = Kind(lambda v: v is None or _list(v, lambda each: isinstance(each, str)), "a list of text")
_COUNTS = Kind(lambda v: v is None or _list(v, lambda each: _whole(each, 0)), "whole numbers")
_FLAGS = Kind(lambda v: v is None or _list(v, lambda each: each in (0, 1)), "a list of 0 and 1")
_NUMBERS = Kind(lambda v: v is None or _list(v, lambda e: _number(e) and e > 0), "positive numbers")

KINDS: dict[str, Kind] = {
    **dict.fromkeys(
        ("hidden_size", "intermediate_size", "num_attention_heads", "vocab_size", "embed_dim",
         "num_heads", "num_channels", "in_channels", "in_chans", "spatial_merge_size",
         "num_patches", "d_model", "encoder_ffn_dim", "decoder_ffn_dim", "num_mel_bins",
         "encoder_attention_heads", "decoder_attention_heads", "max_source_positions",
         "max_target_positions", "num_position_embeddings", "temporal_patch_size", "window_size",
         "scale_factor", "query_num", "mm_tokens_per_image", "spatial_patch_size"), _SIZE
    ),
    **dict.fromkeys(
        ("num_key_value_heads", "head_dim", "max_position_embeddings", "out_hidden_size",
         "original_max_position_embeddings", "projection_dim", "force_image_size"), _OPTIONAL_SIZE
    ),
    **dict.fromkeys(
        ("sliding_window", "max_window_layers", "num_register_tokens", "no_rope_layer_interval",
         "pooler_output_size", "num_labels"), _COUNT
    ),
    **dict.fromkeys(("num_hidden_layers", "depth", "encoder_layers", "decoder_layers"), _LAYERS),
    **dict.fromkeys(
        ("rms_norm_eps", "layer_norm_eps", "layer_norm_epsilon", "norm_eps", "norm_epsilon",
         "rope_theta", "rope_local_base_freq", "factor", "low_freq_factor", "high_freq_factor",
         "beta_fast", "beta_slow", "attention_factor", "alpha", "partial_rotary_factor",
         "mlp_ratio", "downsample_ratio", "embedding_multiplier", "residual_multiplier",
         "attention_multiplier", "logits_scaling", "scale_emb", "scale_depth", "dim_model_base",
         "logit_scale", "query_pre_attn_scalar"), _POSITIVE
    ),
    **dict.fromkeys(
        ("attn_logit_softcapping", "final_logit_softcapping", "mscale", "mscale_all_dim"), _NUMBER
    ),
    **dict.fromkeys(("image_size", "patch_size"), _SIDES),
    **dict.fromkeys(
        ("vision_config", "text_config", "llm_config", "rope_scaling", "rope_parameters",
         "quantization_config", "full_attention", "sliding_attention"), _MAPPING
    ),
    **dict.fromkeys(
        ("hidden_act", "hidden_activation", "projector_hidden_act", "activation_function"), _TEXT
    ),
    **dict.fromkeys(("architectures", "layer_types"), _TEXTS),
    **dict.fromkeys(
        ("fullatt_block_indexes", "mrope_section", "deepstack_visual_indexes"), _COUNTS
    ),
    "no_rope_layers": _FLAGS,
    **dict.fromkeys(("short_factor", "long_factor"), _NUMBERS),
}  # fmt: skip


def check_values(config: Mapping[str, Any], source: str) -> None:
    """Raises InputError, one problem for each value of another kind than its key has."""
    problems = list(_problems(config, source, ""))
    if problems:
        raise InputError(problems)


def _problems(config: Mapping[str, Any], source: str, prefix: str) -> Iterator[Problem]:
    for key, value in config.items():
        kind = KINDS.get(key)
        if kind is not None and not kind.holds(value):
            text = json.dumps(value)
            text = text if len(text) <= SHOWN else f"{text[:SHOWN]}…"
            yield Problem(source, f"{prefix}{key}", f"found {text}", kind.allowed)
        elif isinstance(value, dict):
            yield from _problems(value, source, f"{prefix}{key}.")
