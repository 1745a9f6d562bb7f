"""config.json of a Hugging Face checkpoint to our configurations."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from axsim.errors import InputError
from axsim.models.config import DecoderConfig, ModelConfig, VisionConfig
from axsim.models.defaults import DECODER_DEFAULTS, VISION_DEFAULTS
from axsim.models.families import BY_MODEL_TYPE, Family, Json
from axsim.models.hf_rope import base, corrected, per_kind
from axsim.models.hf_values import check_values
from axsim.models.joins import JOINS, Join
from axsim.models.parts import ACTIVATIONS
from axsim.models.towers import TOWERS, tower_of
from axsim.models.whisper import nested


def model_config(config: Json, source: str = "config.json") -> ModelConfig:
    """The architecture that ``config`` describes: a row of :data:`~axsim.models.joins.JOINS`, a
    decoder of one of the :data:`~axsim.models.families.FAMILIES`, or one of the
    :data:`~axsim.models.towers.TOWERS` alone.

    Raises InputError, naming ``source`` and the key, for anything that the graphs cannot express.
    """
    kind = str(config.get("model_type"))
    config = nested(config)
    if kind in JOINS or kind in BY_MODEL_TYPE or tower_of(config) is not None:
        made = ("vision_config", "text_config") if kind == "whisper" else ()
        check_values({key: value for key, value in config.items() if key not in made}, source)
    try:
        if kind in JOINS:
            return _joined(JOINS[kind], config, source)
        if tower_of(config) is not None:
            return ModelConfig(None, _alone(config, source))
        return ModelConfig(_decoder(config, source))
    except KeyError as error:
        raise InputError(f"{source} has no key {error.args[0]}") from None
    except (ArithmeticError, AttributeError, IndexError, TypeError, ValueError) as error:
        raise InputError(f"{source}: {error}") from None


def _joined(join: Join, config: Json, source: str) -> ModelConfig:
    for name in config.get("architectures") or ():
        if name not in join.architectures:
            wanted = ", ".join(join.architectures)
            raise InputError(f"{source}: architectures has {name}; supported: {wanted}")
    _only(config, source, "", join.required)
    inner = config.get("vision_config") or {}
    config = {**config, "vision_config": inner}
    vision = _tower(inner, join.tower_type, source, "vision_config.")
    text = dict(config.get(join.decoder) or {})
    prefix = f"{join.decoder}."
    if not text:  # older releases of transformers wrote both in one
        text, prefix = {k: v for k, v in config.items() if k not in _OUTER}, ""
    text.setdefault("model_type", join.text or text.get("model_type"))
    decoder = _decoder(text, source, prefix)
    given = config.get("tie_word_embeddings")
    if not join.head_apart:
        decoder = replace(decoder, tie_word_embeddings=join.tied if given is None else bool(given))
    vision = join.tower(config, vision)
    return ModelConfig(decoder, vision, join.projector(config, vision, decoder))


_OUTER = frozenset({"model_type", "architectures", "vision_config", "tie_word_embeddings"})


SIZES = (
    "num_hidden_layers", "hidden_size", "intermediate_size", "num_attention_heads",
    "num_key_value_heads", "vocab_size", "depth", "embed_dim", "num_heads", "image_size",
    "patch_size",
)  # fmt: skip
"""Keys that say how large a model is."""


def assumed_sizes(config: Json) -> dict[str, object]:
    """Sizes that config.json leaves to transformers' defaults, by their keys there."""
    kind = str(config.get("model_type"))
    join, parts = JOINS.get(kind), []
    if join is None:
        parts.append(("", {**VISION_DEFAULTS, **DECODER_DEFAULTS}.get(kind, {}), config))
    else:
        text, vision = config.get(join.decoder) or {}, config.get("vision_config") or {}
        if text:
            usual = DECODER_DEFAULTS.get(text.get("model_type") or join.text, {})
            parts.append((f"{join.decoder}.", usual, text))
        usual = VISION_DEFAULTS.get(vision.get("model_type") or join.tower_type, {})
        parts.append(("vision_config.", usual, vision))
    return {
        f"{prefix}{key}": usual[key]
        for prefix, usual, given in parts
        for key in SIZES
        if key in usual and key not in given
    }


def _tower(vision: Json, usual: str, source: str, prefix: str) -> VisionConfig:
    kind = str(vision.get("model_type") or usual)
    tower = TOWERS.get(kind)
    if tower is None:
        known = ", ".join(TOWERS)
        raise InputError(f"{source}: {prefix}model_type is {kind!r}; known: {known}")
    vision = {**VISION_DEFAULTS.get(kind, VISION_DEFAULTS.get(usual, {})), **vision}
    _only(vision, source, prefix, tower.required)
    return tower.read(vision)


def _alone(config: Json, source: str) -> VisionConfig:
    """A tower without a language model: that of a dual encoder, or one that stands alone."""
    kind = str(config.get("model_type"))
    _only_tower(config, source)
    usual = kind if kind in VISION_DEFAULTS else f"{kind}_vision_model"
    if "vision_config" in config:
        outer = {key: config[key] for key in ("architectures", "projection_dim") if key in config}
        return _tower({**config["vision_config"], **outer}, usual, source, "vision_config.")
    return _tower({**config, "model_type": usual}, usual, source, "")


def _only_tower(config: Json, source: str) -> None:
    """InputError when ``architectures`` names a head that no tower has here."""
    for name in config.get("architectures") or ():
        if not re.fullmatch(r".+?(Vision)?Model(WithProjection)?|.+ForImageClassification", name):
            raise InputError(
                f"{source}: architectures has {name}; supported of a tower alone: the model itself,"
                " its image classifier, a projection of its pooled row"
            )


def _decoder(config: Json, source: str, prefix: str = "") -> DecoderConfig:
    kind = str(config.get("model_type"))
    family = BY_MODEL_TYPE.get(kind)
    if family is None:
        why = _unknown(kind) if not _experts(config) else _MIXTURE
        raise InputError(f"{source}: {prefix}model_type is {kind!r}; {why}")
    if _experts(config):
        raise InputError(f"{source}: {prefix}{_experts(config)} is given; {_MIXTURE}")
    _heads(config, source, prefix, family)
    config = {**DECODER_DEFAULTS.get(kind, {}), **config}
    _only(config, source, prefix, family.required)
    rope = config.get("rope_parameters") or config.get("rope_scaling") or {}
    rope, sliding = per_kind(rope)
    heads = config["num_attention_heads"]
    head_dim = config.get("head_dim") or config["hidden_size"] // heads
    window, full = _windows(config, family)
    local = sliding.get("rope_theta") or config.get("rope_local_base_freq")
    return DecoderConfig(
        family=family.name,
        num_hidden_layers=config["num_hidden_layers"],
        hidden_size=config["hidden_size"],
        intermediate_size=config["intermediate_size"],
        num_attention_heads=heads,
        num_key_value_heads=config.get("num_key_value_heads") or heads,
        vocab_size=config["vocab_size"],
        head_dim=config.get("head_dim") or 0,
        tie_word_embeddings=bool(config.get("tie_word_embeddings", False)),
        rms_norm_eps=config.get(family.epsilon, DecoderConfig.rms_norm_eps),
        rope_theta=base(config, rope, head_dim),
        rope_scaling=corrected(config, rope, f"{source}: {prefix}"),
        partial_rotary_factor=rope.get("partial_rotary_factor")
        or config.get("partial_rotary_factor")
        or 1.0,
        sliding_window=window,
        full_attention_layers=full,
        sliding_rope_theta=float(local) if local and window else None,
        mrope_section=tuple(rope.get("mrope_section") or config.get("mrope_section") or ()),
        mrope_interleaved=bool(rope.get("mrope_interleaved", kind == "qwen3_vl_text")),
        nope_layers=_nope(config, family, window, full),
        parts=_parts(config, family, f"{source}: {prefix}"),
        **_numbers(family.multipliers(config)),
        **family.sizes(config),
    )


def _numbers(multipliers: Mapping[str, object]) -> dict[str, Any]:
    """Numbers as floats, whatever config.json wrote."""
    return {key: None if each is None else float(str(each)) for key, each in multipliers.items()}


def _parts(config: Json, family: Family, where: str) -> Any:
    parts = family.parts
    for key, names in family.flags.items():
        value = config.get(key)
        if value is not None:
            changes: dict[str, Any] = dict.fromkeys(names, bool(value))
            parts = replace(parts, **changes)
    name = config.get("hidden_activation") or config.get("hidden_act") or parts.activation
    if name not in ACTIVATIONS:
        raise InputError(f"{where}hidden_act is {name!r}; known: {', '.join(ACTIVATIONS)}")
    return replace(parts, activation=name)


def _windows(config: Json, family: Family) -> tuple[int, tuple[int, ...]]:
    """The sliding window, 0 for none, and the layers that have none."""
    layers = config["num_hidden_layers"]
    window = config.get("sliding_window") or 0
    asked = config.get("use_sliding_window", family.windows != "asked")
    if family.windows == "none" or not window or not asked:
        return 0, ()
    kinds = config.get("layer_types")
    if kinds:
        full = tuple(i for i, each in enumerate(kinds) if each == "full_attention")
    elif not isinstance(family.windows, int):
        full = tuple(range(min(layers, config.get("max_window_layers") or 0)))
    else:
        period = config.get("sliding_window_pattern") or config.get("_sliding_window_pattern")
        period = period if period and isinstance(period, int) else family.windows
        full = tuple(range(period - 1, layers, period))
    return (0, ()) if len(full) == layers else (window, full)


def _nope(config: Json, family: Family, window: int, full: tuple[int, ...]) -> tuple[int, ...]:
    """The layers that do not rotate."""
    if family.nope == "full":
        return full if window else ()
    if family.nope == "none":
        return ()
    layers = config["num_hidden_layers"]
    flags = config.get("no_rope_layers")
    if flags:
        return tuple(i for i, rotates in enumerate(flags) if not rotates)
    period = config.get("no_rope_layer_interval") or layers + 1
    return tuple(range(period - 1, layers, period))


def _heads(config: Json, source: str, prefix: str, family: Family) -> None:
    """InputError when ``architectures`` names anything else than the family's language model."""
    if not prefix and config.get("vision_config"):
        return  # one config.json for both parts, whose class the join has checked
    for name in config.get("architectures") or ():
        match = re.fullmatch(r"(.+?)(ForCausalLM|ForConditionalGeneration|Model)", name)
        known = match and match[1].lower() in {each.lower() for each in family.architectures}
        if known and match and (match[2] == "ForCausalLM" or prefix):
            continue
        what = "is no language model with its head" if known else "is another architecture"
        wanted = ", ".join(f"{each}ForCausalLM" for each in family.architectures)
        raise InputError(
            f"{source}: {prefix}architectures has {name}, which {what} than model_type "
            f"{config.get('model_type')!r} has here; supported: {wanted}"
        )


def _experts(config: Json) -> str:
    """The key that says how many experts there are, where there are several."""
    for key, value in config.items():
        counts = re.fullmatch(r"(moe_|n_|num_)*(routed_|local_)?(num_)?experts", key)
        if counts and isinstance(value, int) and value > 1:
            return key
    return ""


def _unknown(kind: str) -> str:
    """Why a model_type is refused."""
    if "moe" in kind:
        kind = "moe"
    if kind in REFUSED:
        return REFUSED[kind]
    return f"known: {', '.join([*JOINS, *BY_MODEL_TYPE])}"


_MIXTURE = "mixtures of experts are not supported: which matrices are read depends on the token"
_ONNX = "its tower is no transformer: export its parts to ONNX and simulate those"
_STATE = "layers with a recurrent state are not supported"
_TABLE = "decoders with a learnt table of positions are not supported"
REFUSED = {
    **dict.fromkeys(
        ("moe", "mixtral", "deepseek_v2", "deepseek_v3", "gpt_oss", "llama4", "dbrx", "dots1"),
        _MIXTURE,
    ),
    **dict.fromkeys(("fast_vlm", "fastvlm", "llava_qwen2"), _ONNX),
    **dict.fromkeys(
        ("mamba", "mamba2", "falcon_h1", "jamba", "lfm2", "lfm2_vl", "qwen3_next", "qwen3_5",
         "recurrent_gemma", "rwkv", "granitemoehybrid", "nemotron_h"), _STATE
    ),
    **dict.fromkeys(("gpt2", "opt", "gpt_neo"), _TABLE),
    "bitnet": "ternary weights with their own norms are not supported",
}  # fmt: skip
"""Why models that people ask for are refused, by ``model_type``."""


def _only(config: Json, source: str, prefix: str, required: Mapping[str, object]) -> None:
    """InputError when a key is given and asks for something that the graphs do not have."""
    for key, value in required.items():
        allowed = value if isinstance(value, tuple) else (value,)
        if config.get(key) is not None and config[key] not in allowed:
            only = " or ".join(map(repr, allowed))
            raise InputError(
                f"{source}: {prefix}{key} is {config[key]!r}; only {only} is supported"
            )
