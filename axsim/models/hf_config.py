"""config.json of a Hugging Face checkpoint to our configurations."""

from __future__ import annotations

from collections.abc import Mapping

from axsim.errors import InputError
from axsim.models.config import DecoderConfig, ModelConfig, ProjectorConfig, RopeScaling
from axsim.models.families import BY_MODEL_TYPE
from axsim.models.joins import JOINS, Join, Json


def model_config(config: Json, source: str = "config.json") -> ModelConfig:
    """The architecture that ``config`` describes: a row of :data:`~axsim.models.joins.JOINS`, or a
    decoder of one of the :data:`~axsim.models.families.FAMILIES`.

    Raises InputError, naming ``source`` and the key, for anything that the graphs cannot express.
    """
    join = JOINS.get(str(config.get("model_type")))
    try:
        return _joined(join, config, source) if join else ModelConfig(_decoder(config, source))
    except KeyError as error:
        raise InputError(f"{source} has no key {error.args[0]}") from None
    except (TypeError, ValueError) as error:
        raise InputError(f"{source}: {error}") from None


def _joined(join: Join, config: Json, source: str) -> ModelConfig:
    vision = config["vision_config"]
    _only(vision, source, "vision_config.", join.tower_required)
    _only(config, source, "", join.required)
    tower = join.tower(vision)
    decoder = _decoder(config[join.decoder], source, f"{join.decoder}.")
    projector = ProjectorConfig(decoder.hidden_size, config.get("downsample_ratio", 0.5))
    return ModelConfig(decoder, tower, projector)


def _decoder(config: Json, source: str, prefix: str = "") -> DecoderConfig:
    kind = config.get("model_type")
    family = BY_MODEL_TYPE.get(str(kind))
    if family is None:
        known = ", ".join([*JOINS, *BY_MODEL_TYPE])
        raise InputError(f"{source}: {prefix}model_type is {kind!r}; known: {known}")
    _only(config, source, prefix, {"hidden_act": family.parts.activation, **family.required})
    rope = config.get("rope_parameters") or {}
    heads = config["num_attention_heads"]
    return DecoderConfig(
        family=family.name,
        num_hidden_layers=config["num_hidden_layers"],
        hidden_size=config["hidden_size"],
        intermediate_size=config["intermediate_size"],
        num_attention_heads=heads,
        num_key_value_heads=config.get("num_key_value_heads") or heads,
        vocab_size=config["vocab_size"],
        head_dim=config.get("head_dim") or 0,
        tie_word_embeddings=config.get("tie_word_embeddings", False),
        rms_norm_eps=config.get(*family.epsilon),
        rope_theta=float(rope.get("rope_theta") or config.get("rope_theta") or 10_000.0),
        rope_scaling=_rope_scaling(config.get("rope_scaling") or rope, source, prefix),
        partial_rotary_factor=rope.get("partial_rotary_factor")
        or config.get("partial_rotary_factor")
        or family.partial_rotary_factor,
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


def _only(config: Json, source: str, prefix: str, required: Mapping[str, object]) -> None:
    """InputError when a key is given and asks for something that the graphs do not have."""
    for key, value in required.items():
        if config.get(key, value) not in (value, None):
            raise InputError(
                f"{source}: {prefix}{key} is {config[key]!r}; only {value!r} is supported"
            )
