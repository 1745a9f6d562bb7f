"""The decoder families: which parts a layer has, and how config.json and a checkpoint name them.

To add a family, add its row, and what transformers assumes where config.json is silent to
:mod:`axsim.models.defaults`. Graphs, tensor shapes, `axsim import`, checkpoints, the keys of a
workload and the end of an answer follow from it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import sqrt
from typing import Any, Literal

from axsim.models.parts import Parts

Json = Mapping[str, Any]


@dataclass(frozen=True)
class Names:
    """How checkpoints name a decoder's modules where they differ from Llama's.

    ``modules`` maps our name of a module to theirs. ``qkv`` is one matrix of the rows of q, k and
    v; ``by_group``: of each group of heads that share a key in turn. ``gate_up`` is one matrix of
    the rows of both. ``norm_offset`` is added to the stored scale of every norm.
    """

    modules: Mapping[str, str] = field(default_factory=dict)
    qkv: str = ""
    by_group: bool = False
    gate_up: str = ""
    norm_offset: float = 0.0


def _nothing(config: Json) -> Mapping[str, object]:
    return {}


def _none(config: Json) -> Mapping[str, int]:
    return {}


@dataclass(frozen=True)
class Family:
    """One row.

    ``name`` is what a workload calls it, ``model_types`` what config.json does; ``architectures``
    are the beginnings of its classes' names there. ``end_of_sequence`` ends an answer where nothing
    else says what does. ``flags`` are keys of config.json that turn parts on or off, ``epsilon``
    the key of the norms' epsilon, ``required`` keys that must have this value if they are given:
    others ask for parts that this row does not have. ``multipliers`` gives the multipliers and soft
    caps of a :class:`~axsim.models.config.DecoderConfig`, ``sizes`` those that few families have.

    ``windows``: which layers have a sliding window where config.json gives one: ``none``, ``all``,
    ``asked`` (all, where ``use_sliding_window`` says so too), or all but every so manyth. ``nope``:
    which do not rotate: ``none``, the ``full`` ones among windowed layers, or those that
    config.json ``lists``.
    """

    name: str
    model_types: tuple[str, ...]
    architectures: tuple[str, ...]
    parts: Parts
    end_of_sequence: int
    flags: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    epsilon: str = "rms_norm_eps"
    required: Mapping[str, object] = field(default_factory=dict)
    multipliers: Callable[[Json], Mapping[str, object]] = _nothing
    sizes: Callable[[Json], Mapping[str, int]] = _none
    windows: Literal["none", "all", "asked"] | int = "none"
    nope: Literal["none", "full", "lists"] = "none"
    names: Names = Names()


def _gemma(config: Json) -> Mapping[str, object]:
    scalar = config.get("query_pre_attn_scalar")
    return {
        "embedding_multiplier": sqrt(config["hidden_size"]),
        "attention_multiplier": scalar**-0.5 if scalar else None,
        "attention_softcap": config.get("attn_logit_softcapping") or 0.0,
        "logit_softcap": config.get("final_logit_softcapping") or 0.0,
    }


def _granite(config: Json) -> Mapping[str, object]:
    return {
        "embedding_multiplier": config["embedding_multiplier"],
        "residual_multiplier": config["residual_multiplier"],
        "attention_multiplier": config["attention_multiplier"],
        "logits_multiplier": 1 / config["logits_scaling"],
    }


def _minicpm(config: Json) -> Mapping[str, object]:
    return {
        "embedding_multiplier": config["scale_emb"],
        "residual_multiplier": config["scale_depth"] / sqrt(config["num_hidden_layers"]),
        "logits_multiplier": config["dim_model_base"] / config["hidden_size"],
    }


def _cohere(config: Json) -> Mapping[str, object]:
    return {"logits_multiplier": config["logit_scale"]}


def _whisper_sizes(config: Json) -> Mapping[str, int]:
    rows, heard = config["max_position_embeddings"], config["cross_tokens"]
    return {"position_rows": rows, "cross_tokens": heard}


_BOTH = ("qkv_bias", "output_bias")
_LLAMA_FLAGS = {"attention_bias": _BOTH, "mlp_bias": ("mlp_bias",)}
_SANDWICH = {
    "post_attention_norm": "post_attention_layernorm",
    "post_attention_layernorm": "pre_feedforward_layernorm",
    "post_mlp_norm": "post_feedforward_layernorm",
}
_POST = {
    "post_attention_norm": "post_attention_layernorm",
    "post_mlp_norm": "post_feedforward_layernorm",
}
_LAYER_NORM = Parts(norm="LayerNormalization", norm_bias=True)
_IM_END = 151645  # <|im_end|> of Qwen

_ROWS = (
    Family(
        "qwen2", ("qwen2", "qwen2_vl_text", "qwen2_5_vl_text"), ("Qwen2",), Parts(qkv_bias=True),
        end_of_sequence=_IM_END, windows="asked",
    ),
    Family(
        "qwen3", ("qwen3", "qwen3_vl_text"), ("Qwen3",), Parts(qk_norm="head"),
        end_of_sequence=_IM_END, windows="asked", flags={"attention_bias": _BOTH},
    ),
    Family(
        "llama", ("llama", "internlm3"), ("Llama", "InternLM3"), Parts(), end_of_sequence=2,
        flags={**_LLAMA_FLAGS, "qkv_bias": ("qkv_bias",), "bias": _BOTH},
        required={"pretraining_tp": 1},
    ),
    Family(
        "mistral", ("mistral", "ministral", "ministral3"), ("Mistral", "Ministral", "Ministral3"),
        Parts(), end_of_sequence=2, windows="all",
    ),
    Family(
        "internlm2", ("internlm2",), ("InternLM2",), Parts(), end_of_sequence=2,
        flags={"bias": _BOTH},
        names=Names(
            {
                "embed_tokens": "tok_embeddings", "lm_head": "output",
                "input_layernorm": "attention_norm", "post_attention_layernorm": "ffn_norm",
                "self_attn.o_proj": "attention.wo", "mlp.gate_proj": "feed_forward.w1",
                "mlp.up_proj": "feed_forward.w3", "mlp.down_proj": "feed_forward.w2",
            },
            qkv="attention.wqkv", by_group=True,
        ),
    ),
    Family(
        "phi2", ("phi",), ("Phi",),
        Parts(
            norm="LayerNormalization", norm_bias=True, parallel=True, qkv_bias=True,
            output_bias=True, mlp_bias=True, head_bias=True, gated=False, activation="gelu_new",
        ),
        end_of_sequence=50256, epsilon="layer_norm_eps", required={"qk_layernorm": False},
        names=Names({"self_attn.o_proj": "self_attn.dense", "norm": "final_layernorm"}),
    ),
    Family(
        "phi3", ("phi3",), ("Phi3",), Parts(), end_of_sequence=32000, windows="all",
        required={"attention_bias": False, "mlp_bias": False, "lm_head_bias": False},
        names=Names(qkv="self_attn.qkv_proj", gate_up="mlp.gate_up_proj"),
    ),
    Family(
        "gemma", ("gemma",), ("Gemma",), Parts(activation="gelu_pytorch_tanh"), end_of_sequence=1,
        flags={"attention_bias": _BOTH}, multipliers=_gemma, names=Names(norm_offset=1.0),
    ),
    Family(
        "gemma2", ("gemma2",), ("Gemma2",),
        Parts(activation="gelu_pytorch_tanh", post_norm=True), end_of_sequence=1,
        flags={"attention_bias": _BOTH}, multipliers=_gemma, windows=2,
        names=Names(_SANDWICH, norm_offset=1.0),
    ),
    Family(
        "gemma3", ("gemma3_text",), ("Gemma3",),
        Parts(activation="gelu_pytorch_tanh", post_norm=True, qk_norm="head"), end_of_sequence=106,
        flags={"attention_bias": _BOTH}, multipliers=_gemma, windows=6,
        required={"use_bidirectional_attention": False},
        names=Names(_SANDWICH, norm_offset=1.0),
    ),
    Family(
        "smollm3", ("smollm3",), ("SmolLM3",), Parts(), end_of_sequence=128012,
        flags=_LLAMA_FLAGS, windows="asked", nope="lists",
    ),
    Family(
        "granite", ("granite",), ("Granite",), Parts(), end_of_sequence=0,
        flags=_LLAMA_FLAGS, multipliers=_granite,
    ),
    Family(
        "olmo2", ("olmo2", "olmo3"), ("Olmo2", "Olmo3"),
        Parts(pre_norm=False, post_norm=True, qk_norm="width"), end_of_sequence=100257,
        flags={"attention_bias": _BOTH}, windows=4, names=Names(_POST),
    ),
    Family(
        "exaone4", ("exaone4",), ("Exaone4",),
        Parts(pre_norm=False, post_norm=True, qk_norm="head"), end_of_sequence=361,
        windows=4, nope="full", names=Names(_POST),
    ),
    Family(
        "ernie4_5", ("ernie4_5",), ("Ernie4_5",), Parts(interleaved=True), end_of_sequence=2,
        flags={"use_bias": (*_BOTH, "mlp_bias")},
    ),
    Family(
        "paddleocr", ("paddleocr_vl_text",), ("PaddleOCRVL",), Parts(), end_of_sequence=2,
        flags={"use_bias": (*_BOTH, "mlp_bias")},
    ),
    Family(
        "hunyuan", ("hunyuan_v1_dense",), ("HunYuanDenseV1",),
        Parts(qk_norm="head", qk_norm_after_rope=True), end_of_sequence=127960,
        flags={"attention_bias": _BOTH}, required={"use_qk_norm": True},
        names=Names(
            {"self_attn.q_norm": "self_attn.query_layernorm",
             "self_attn.k_norm": "self_attn.key_layernorm"}
        ),
    ),
    Family(
        "glm", ("glm",), ("Glm",), Parts(qkv_bias=True, interleaved=True), end_of_sequence=151329,
        flags={"attention_bias": ("qkv_bias",)}, names=Names(gate_up="mlp.gate_up_proj"),
    ),
    Family(
        "glm4", ("glm4",), ("Glm4",),
        Parts(qkv_bias=True, interleaved=True, post_norm=True), end_of_sequence=151329,
        flags={"attention_bias": ("qkv_bias",)},
        names=Names(
            {"post_attention_norm": "post_self_attn_layernorm",
             "post_mlp_norm": "post_mlp_layernorm"},
            gate_up="mlp.gate_up_proj",
        ),
    ),
    Family(
        "minicpm", ("minicpm",), ("MiniCPM",), Parts(), end_of_sequence=2,
        flags=_LLAMA_FLAGS, multipliers=_minicpm,
    ),
    Family(
        "cohere", ("cohere", "cohere2"), ("Cohere", "Cohere2"),
        Parts(norm="LayerNormalization", parallel=True, interleaved=True), end_of_sequence=255001,
        flags={"attention_bias": _BOTH}, epsilon="layer_norm_eps", multipliers=_cohere,
        required={"use_qk_norm": False}, windows=4, nope="full",
    ),
    Family(
        "stablelm", ("stablelm",), ("StableLm",), _LAYER_NORM, end_of_sequence=0,
        flags={"use_qkv_bias": ("qkv_bias",), "use_parallel_residual": ("parallel",)},
        epsilon="layer_norm_eps", required={"qk_layernorm": False},
    ),
    Family(
        "starcoder2", ("starcoder2",), ("Starcoder2",),
        Parts(
            norm="LayerNormalization", norm_bias=True, qkv_bias=True, output_bias=True,
            mlp_bias=True, gated=False, activation="gelu_pytorch_tanh",
        ),
        end_of_sequence=0, flags={"use_bias": (*_BOTH, "mlp_bias")}, epsilon="norm_epsilon",
        windows="all", names=Names({"mlp.fc1": "mlp.c_fc", "mlp.fc2": "mlp.c_proj"}),
    ),
    Family(
        "helium", ("helium",), ("Helium",), Parts(interleaved=True), end_of_sequence=2,
        flags={"attention_bias": ("qkv_bias",), "mlp_bias": ("mlp_bias",)},
    ),
    Family(
        "olmo", ("olmo",), ("Olmo",), Parts(norm="LayerNormalization", norm_scale=False),
        end_of_sequence=50279, flags={"attention_bias": _BOTH}, epsilon="layer_norm_eps",
        required={"clip_qkv": None},
    ),
    Family(
        "arcee", ("arcee",), ("Arcee",), Parts(gated=False, activation="relu2"),
        end_of_sequence=128001, flags=_LLAMA_FLAGS,
        names=Names({"mlp.fc1": "mlp.up_proj", "mlp.fc2": "mlp.down_proj"}),
    ),
    Family(
        "nemotron", ("nemotron",), ("Nemotron",),
        Parts(norm="LayerNormalization", norm_bias=True, gated=False, activation="relu2"),
        end_of_sequence=3, flags=_LLAMA_FLAGS, epsilon="norm_eps",
        names=Names({"mlp.fc1": "mlp.up_proj", "mlp.fc2": "mlp.down_proj"}, norm_offset=1.0),
    ),
    Family(
        "whisper", ("whisper_decoder",), ("Whisper",),
        Parts(
            norm="LayerNormalization", norm_bias=True, qkv_bias=True, key_bias=False,
            output_bias=True, mlp_bias=True, gated=False, activation="gelu",
        ),
        end_of_sequence=50257, epsilon="layer_norm_eps", sizes=_whisper_sizes,
        names=Names(
            {"input_layernorm": "self_attn_layer_norm", "self_attn.o_proj": "self_attn.out_proj",
             "cross_attn_norm": "encoder_attn_layer_norm",
             "cross_attn.q_proj": "encoder_attn.q_proj",
             "cross_attn.o_proj": "encoder_attn.out_proj",
             "post_attention_layernorm": "final_layer_norm", "mlp.fc1": "fc1", "mlp.fc2": "fc2",
             "norm": "layer_norm"}
        ),
    ),
    Family(
        "seed_oss", ("seed_oss",), ("SeedOss",), Parts(qkv_bias=True), end_of_sequence=2,
        flags={
            "attention_bias": ("qkv_bias",), "attention_out_bias": ("output_bias",),
            "mlp_bias": ("mlp_bias",),
        },
    ),
)  # fmt: skip

FAMILIES: dict[str, Family] = {row.name: row for row in _ROWS}
"""Every family by its name in a workload."""

BY_MODEL_TYPE: dict[str, Family] = {kind: row for row in _ROWS for kind in row.model_types}
"""Every family by ``model_type`` of config.json."""
