"""What the values of config.json must be, before anybody computes with them.

config.json is written by people and by many programs. Every key that is read here has a kind; a
value of another one ends in a message with the key, whatever the reader would have made of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from math import isfinite
from typing import Any, NamedTuple

from axsim.errors import InputError, Problem

LARGEST = 1 << 31
"""Of whole numbers."""

SHOWN = 60
"""Characters of a wrong value."""


class Kind(NamedTuple):
    """``holds`` says whether a value is of this kind; ``allowed`` is how messages call it."""

    holds: Callable[[Any], bool]
    allowed: str


def _whole(value: Any, least: int = 1) -> bool:
    return type(value) is int and least <= value < LARGEST


def _number(value: Any) -> bool:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and abs(value) < 1e18 and isfinite(value)


def _all(value: Any, holds: Callable[[Any], bool]) -> bool:
    return isinstance(value, list | tuple) and all(map(holds, value))


_COUNT = Kind(_whole, "a whole number of at least 1")
_SIZE = Kind(lambda v: _whole(v, 0), "a whole number")
_SIDE = Kind(
    lambda v: _whole(v) or (_all(v, _whole) and 0 < len(v) < 3), "a whole number, or two of them"
)
_LAYER = Kind(lambda v: type(v) is int and abs(v) < LARGEST, "a whole number")
_POSITIVE = Kind(lambda v: _number(v) and v > 1e-12, "a number greater than 0")
_NUMBER = Kind(_number, "a finite number")
_FLAG = Kind(lambda v: v in (True, False), "true or false")
_NAME = Kind(lambda v: isinstance(v, str), "a name")
_NAMES = Kind(lambda v: _all(v, lambda each: isinstance(each, str)), "a list of names")
_SIZES = Kind(lambda v: _all(v, lambda each: _whole(each, 0)), "a list of whole numbers")
_NUMBERS = Kind(
    lambda v: _all(v, lambda each: _number(each) and each > 1e-12), "a list of numbers above 0"
)
_FLAGS = Kind(lambda v: _all(v, lambda each: each in (0, 1)), "a list of 0 and 1")
_PART = Kind(lambda v: isinstance(v, Mapping), "an object")

_KEYS: tuple[tuple[Kind, str], ...] = (
    (
        _COUNT,
        "hidden_size intermediate_size num_hidden_layers num_attention_heads num_key_value_heads "
        "vocab_size depth num_heads embed_dim spatial_merge_size temporal_patch_size "
        "out_hidden_size num_position_embeddings num_patches num_channels projection_dim "
        "max_position_embeddings original_max_position_embeddings num_labels pooler_output_size "
        "mm_tokens_per_image scale_factor query_num bits",
    ),
    (
        _SIZE,
        "head_dim num_register_tokens window_size sliding_window sliding_window_pattern "
        "_sliding_window_pattern max_window_layers no_rope_layer_interval force_image_size",
    ),
    (_SIDE, "image_size patch_size"),
    (_LAYER, "group_size"),
    (
        _POSITIVE,
        "rms_norm_eps layer_norm_eps layer_norm_epsilon norm_eps norm_epsilon rope_theta "
        "rope_local_base_freq factor low_freq_factor high_freq_factor beta_fast beta_slow "
        "partial_rotary_factor mlp_ratio downsample_ratio embedding_multiplier "
        "residual_multiplier attention_multiplier logits_scaling scale_emb scale_depth "
        "dim_model_base logit_scale query_pre_attn_scalar attention_factor",
    ),
    (_NUMBER, "alpha mscale mscale_all_dim attn_logit_softcapping final_logit_softcapping"),
    (
        _FLAG,
        "tie_word_embeddings attention_bias mlp_bias qkv_bias query_bias key_bias proj_bias "
        "use_bias use_qkv_bias attention_out_bias multimodal_projector_bias use_parallel_residual "
        "qk_normalization use_qk_norm use_swiglu_ffn use_gated_mlp use_mask_token "
        "vision_use_head use_sliding_window drop_vision_last_layer truncate mrope_interleaved",
    ),
    (
        _NAME,
        "model_type hidden_act hidden_activation projector_hidden_act norm_type rope_type type "
        "vision_feature_select_strategy quant_method checkpoint_format template",
    ),
    (_NAMES, "architectures layer_types"),
    (_SIZES, "mrope_section fullatt_block_indexes deepstack_visual_indexes"),
    (_NUMBERS, "short_factor"),
    (_FLAGS, "no_rope_layers"),
    (
        _PART,
        "vision_config text_config llm_config rope_parameters rope_scaling full_attention "
        "sliding_attention quantization_config id2label",
    ),
)

KINDS: dict[str, Kind] = {key: kind for kind, keys in _KEYS for key in keys.split()}
"""Key to kind, in whatever part of config.json it stands."""


def check_kinds(config: Mapping[str, Any], source: str) -> None:
    """Raises InputError for every key that is read and holds a value of another kind; null is as
    if the key were not there."""
    wrong = tuple(_wrong(config, source, ""))
    if wrong:
        raise InputError(wrong)


def _wrong(config: Mapping[str, Any], source: str, prefix: str) -> Iterator[Problem]:
    for key, value in config.items():
        kind = KINDS.get(key)
        if kind is None or value is None:
            continue
        if not kind.holds(value):
            yield Problem("", "", f"{source}: {prefix}{key} is {_brief(value)}", kind.allowed)
        elif kind is _PART and key != "id2label":
            yield from _wrong(value, source, f"{prefix}{key}.")


def _brief(value: Any) -> str:
    if isinstance(value, int) and value.bit_length() > 200:
        return "a number of more than 60 digits"
    text = repr(value)
    return text if len(text) <= SHOWN else f"{text[: SHOWN - 1]}…"
