"""What config.json says of rotary positions: ``rope_theta`` with ``rope_scaling`` (transformers 4),
or both in ``rope_parameters`` (transformers 5)."""

from __future__ import annotations

from math import log, sqrt

from axsim.errors import InputError
from axsim.models.config import RopeScaling
from axsim.models.families import Json


def per_kind(rope: Json) -> tuple[Json, Json]:
    """The parameters of layers that see everything and of those with a sliding window."""
    if "full_attention" in rope or "sliding_attention" in rope:
        return rope.get("full_attention") or {}, rope.get("sliding_attention") or {}
    return rope, {}


def base(config: Json, rope: Json, head_dim: int) -> float:
    """The base of the frequencies. HunYuan's ``alpha`` stretches it at every length."""
    theta = float(rope.get("rope_theta") or config.get("rope_theta") or 10_000.0)
    alpha = rope.get("alpha")
    if alpha and _kind(rope) in ("dynamic", "ntk_alpha"):
        theta *= float(alpha) ** (head_dim / (head_dim - 2))
    return theta


def corrected(config: Json, rope: Json, where: str) -> RopeScaling | None:
    """The long-context correction; InputError for one that is not known."""
    kind = _kind(rope)
    # Dynamic scaling begins beyond max_position_embeddings, which no compiled context exceeds, and
    # multi-axis positions turn at the usual frequencies.
    if kind in ("default", "dynamic", "ntk_alpha", "mrope"):
        return None
    if kind == "linear":
        return RopeScaling("linear", float(rope["factor"]))
    longest = config.get("max_position_embeddings")
    context = int(
        rope.get("original_max_position_embeddings")
        or config.get("original_max_position_embeddings")
        or longest
        or 0
    )
    if kind == "llama3":
        return RopeScaling(
            "llama3",
            float(rope["factor"]),
            float(rope["low_freq_factor"]),
            float(rope["high_freq_factor"]),
            context,
        )
    if kind == "yarn":
        factor = float(rope.get("factor") or (longest or context) / context)
        return RopeScaling(
            "yarn",
            factor,
            original_max_position_embeddings=context,
            beta_fast=float(rope.get("beta_fast") or 32),
            beta_slow=float(rope.get("beta_slow") or 1),
            truncate=rope.get("truncate", True),
            attention_factor=_yarn_attention(rope, factor),
        )
    if kind in ("longrope", "su"):
        factor = float(rope.get("factor") or (longest or context) / context)
        longer = sqrt(1 + log(factor) / log(context)) if factor > 1 else 1.0
        return RopeScaling(
            "longrope",
            original_max_position_embeddings=context,
            short_factor=tuple(float(each) for each in rope["short_factor"]),
            attention_factor=float(rope.get("attention_factor") or longer),
        )
    raise InputError(
        f"{where}rope_scaling has type {kind!r}; known: default, dynamic, linear, llama3, longrope,"
        " mrope, yarn"
    )


def _kind(rope: Json) -> str:
    return str(rope.get("rope_type") or rope.get("type") or "default")


def _yarn_attention(rope: Json, factor: float) -> float:
    """What cosine and sine are multiplied with; ``mscale`` weighs the logarithm of the factor."""
    given = rope.get("attention_factor")
    if given is not None:
        return float(given)

    def scale(weight: float) -> float:
        return 0.1 * weight * log(factor) + 1 if factor > 1 else 1.0

    weights = rope.get("mscale"), rope.get("mscale_all_dim")
    if all(weights):
        return scale(float(weights[0] or 1)) / scale(float(weights[1] or 1))
    return scale(1.0)
