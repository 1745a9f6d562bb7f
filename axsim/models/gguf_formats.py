"""How GGUF files of each architecture say what config.json and safetensors do.

To read another architecture, add its row. Source: the converter of llama.cpp
(``convert_hf_to_gguf.py``) and the constants of the package gguf.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]


@dataclass(frozen=True)
class Format:
    """One row.

    ``model_type`` and ``architecture`` are those of config.json. ``modules`` maps names of tensors
    to those of transformers where they differ from Llama's, ``keys`` names in config.json to those
    in the file's metadata, besides those that all have. ``paired``: rows of q and k hold the two of
    each rotated pair side by side. ``norm_offset`` was added to the scale of every norm.
    ``completed`` adds what follows from other values.
    """

    model_type: str
    architecture: str
    modules: Mapping[str, str] = field(default_factory=dict)
    keys: Mapping[str, str] = field(default_factory=dict)
    paired: bool = False
    norm_offset: float = 0.0
    completed: Callable[[Json], Json] = lambda config: {}


def _gemma_scale(largest: int) -> Callable[[Json], Json]:
    """Scores are scaled by the width of a head, in the ``largest`` model (so many layers) by that
    of hidden states for each head; files do not say so."""

    def completed(config: Json) -> Json:
        heads, width = config["num_attention_heads"], config["head_dim"]
        if config["num_hidden_layers"] == largest:
            width = config["hidden_size"] // heads
        return {"query_pre_attn_scalar": width}

    return completed


_SANDWICH = {
    "post_attention_norm": "post_attention_layernorm",
    "ffn_norm": "pre_feedforward_layernorm",
    "post_ffw_norm": "post_feedforward_layernorm",
}
_POST = {
    "post_attention_norm": "post_attention_layernorm",
    "post_ffw_norm": "post_feedforward_layernorm",
}
_WINDOW = {"sliding_window": "attention.sliding_window"}

FORMATS: dict[str, Format] = {
    "llama": Format("llama", "LlamaForCausalLM", paired=True),
    "qwen2": Format("qwen2", "Qwen2ForCausalLM"),
    "qwen3": Format("qwen3", "Qwen3ForCausalLM"),
    "phi3": Format(
        "phi3",
        "Phi3ForCausalLM",
        {"attn_qkv": "self_attn.qkv_proj", "ffn_up": "mlp.gate_up_proj"},
        {**_WINDOW, "original_max_position_embeddings": "rope.scaling.original_context_length"},
    ),
    "gemma": Format("gemma", "GemmaForCausalLM", norm_offset=1.0),
    "gemma2": Format(
        "gemma2",
        "Gemma2ForCausalLM",
        _SANDWICH,
        {
            **_WINDOW,
            "attn_logit_softcapping": "attn_logit_softcapping",
            "final_logit_softcapping": "final_logit_softcapping",
        },
        norm_offset=1.0,
        completed=_gemma_scale(46),
    ),
    "gemma3": Format(
        "gemma3_text",
        "Gemma3ForCausalLM",
        _SANDWICH,
        {**_WINDOW, "rope_local_base_freq": "rope.freq_base_swa"},
        norm_offset=1.0,
        completed=_gemma_scale(62),
    ),
    "smollm3": Format("smollm3", "SmolLM3ForCausalLM", paired=True),
    "granite": Format(
        "granite",
        "GraniteForCausalLM",
        keys={
            "embedding_multiplier": "embedding_scale",
            "residual_multiplier": "residual_scale",
            "attention_multiplier": "attention.scale",
            "logits_scaling": "logit_scale",
        },
        paired=True,
    ),
    "olmo2": Format("olmo2", "Olmo2ForCausalLM", _POST),
    "starcoder2": Format(
        "starcoder2",
        "Starcoder2ForCausalLM",
        {"ffn_up": "mlp.c_fc", "ffn_down": "mlp.c_proj"},
        {"norm_epsilon": "attention.layer_norm_epsilon", **_WINDOW},
    ),
    "ernie4_5": Format("ernie4_5", "Ernie4_5ForCausalLM"),
    "arcee": Format("arcee", "ArceeForCausalLM", paired=True),
    "nemotron": Format(
        "nemotron",
        "NemotronForCausalLM",
        keys={"norm_eps": "attention.layer_norm_epsilon"},
        norm_offset=1.0,
    ),
    "seed_oss": Format(
        "seed_oss", "SeedOssForCausalLM", {"post_attention_norm": "post_attention_layernorm"}
    ),
}
"""By ``general.architecture``."""

REASONS = {
    **dict.fromkeys(
        ("qwen2vl", "qwen3vl", "mistral3", "paddleocr", "hunyuan_vl", "chameleon"),
        "its tower is in another file, which is not read: use the safetensors of the model",
    ),
    **dict.fromkeys(
        ("mamba", "mamba2", "rwkv6", "rwkv7", "falcon-h1", "jamba", "lfm2", "qwen35", "qwen3next",
         "granitehybrid", "nemotron_h", "plamo2", "kimi-linear"),
        "layers with a recurrent state are not supported",
    ),
    **dict.fromkeys(
        ("bert", "modern-bert", "nomic-bert", "eurobert", "t5", "t5encoder", "clip"),
        "it is no decoder of a language model",
    ),
}  # fmt: skip
"""Why other architectures are refused; those with experts say so themselves."""
