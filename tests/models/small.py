"""config.json of small models, one for each thing that decoders of today differ in."""

from typing import Any

_SIZES: dict[str, Any] = {
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 211,
    "max_position_embeddings": 512,
    "rope_theta": 10000.0,
    "tie_word_embeddings": False,
    "pad_token_id": None,
    "bos_token_id": None,
    "eos_token_id": None,
}


def _model(model_type: str, **keys: Any) -> dict[str, Any]:
    return {"model_type": model_type, **_SIZES, **keys}


_YARN = {
    "rope_type": "yarn",
    "factor": 4.0,
    "original_max_position_embeddings": 64,
    "beta_fast": 8.0,
}
_LONGROPE = {
    "type": "longrope",
    "short_factor": [1.0, 1.1, 1.3, 1.7, 2.0, 2.2],
    "long_factor": [2.0] * 6,
}

DECODERS: dict[str, dict[str, Any]] = {
    "qwen2-yarn": _model("qwen2", rope_scaling=_YARN),
    "qwen3-bias": _model("qwen3", head_dim=32, attention_bias=True),
    "llama-bias": _model("llama", attention_bias=True, mlp_bias=True),
    "mistral": _model("mistral", sliding_window=7, head_dim=24),
    "ministral3": _model("ministral3", rope_parameters={
        "type": "yarn", "rope_theta": 1e6, "factor": 16.0, "mscale": 1.0, "mscale_all_dim": 1.0,
        "original_max_position_embeddings": 256, "llama_4_scaling_beta": 0.1,
    }),
    "phi3": _model("phi3", sliding_window=200),
    "phi4-mini": _model(
        "phi3", partial_rotary_factor=0.75, original_max_position_embeddings=128,
        rope_scaling=_LONGROPE, tie_word_embeddings=True,
    ),
    "gemma": _model("gemma", head_dim=32, num_key_value_heads=1, tie_word_embeddings=True),
    "gemma2": _model(
        "gemma2", head_dim=32, sliding_window=7, query_pre_attn_scalar=24,
        tie_word_embeddings=True, attn_logit_softcapping=3.0, final_logit_softcapping=2.0,
    ),
    "gemma3": _model(
        "gemma3_text", head_dim=32, sliding_window=7, sliding_window_pattern=3, rope_theta=1e6,
        rope_local_base_freq=1e4, query_pre_attn_scalar=32, tie_word_embeddings=True,
        rope_scaling={"rope_type": "linear", "factor": 8.0},
    ),
    "smollm3": _model("smollm3", no_rope_layer_interval=2, tie_word_embeddings=True),
    "granite": _model(
        "granite", embedding_multiplier=12.0, residual_multiplier=0.22,
        attention_multiplier=0.0156, logits_scaling=8.0,
    ),
    "olmo2": _model("olmo2"),
    "olmo3": _model("olmo3", sliding_window=7),
    "exaone4": _model("exaone4", sliding_window=7, sliding_window_pattern=3),
    "ernie4_5": _model("ernie4_5", head_dim=32, use_bias=True, tie_word_embeddings=True),
    "hunyuan": _model(
        "hunyuan_v1_dense", head_dim=32,
        rope_scaling={"type": "dynamic", "alpha": 1000.0, "factor": 1.0},
    ),
    "glm": _model("glm", head_dim=32, partial_rotary_factor=0.5, attention_bias=True),
    "glm4": _model("glm4", head_dim=32, partial_rotary_factor=0.5, attention_bias=False),
    "cohere": _model("cohere", logit_scale=0.25, tie_word_embeddings=True),
    "cohere2": _model(
        "cohere2", sliding_window=7, sliding_window_pattern=3, tie_word_embeddings=True
    ),
    "stablelm": _model("stablelm", partial_rotary_factor=0.25, use_qkv_bias=True),
    "stablelm-parallel": _model("stablelm", partial_rotary_factor=0.25, use_parallel_residual=True),
    "starcoder2": _model("starcoder2", sliding_window=7, tie_word_embeddings=True),
    "helium": _model("helium", head_dim=16),
    "olmo": _model("olmo"),
    "arcee": _model("arcee", hidden_act="relu2"),
    "nemotron": _model("nemotron", hidden_act="relu2", partial_rotary_factor=0.5, head_dim=16),
    "seed_oss": _model("seed_oss", head_dim=32, attention_bias=True, attention_out_bias=True),
}  # fmt: skip
"""By a name of the test's own; transformers knows all of these."""

OTHERS: dict[str, dict[str, Any]] = {
    "internlm2": _model("internlm2", bias=False),
    "minicpm": _model("minicpm", scale_emb=12, scale_depth=1.4, dim_model_base=32),
}
"""Families whose code is published beside their weights."""

WHISPER: dict[str, Any] = {
    "model_type": "whisper", "d_model": 64, "encoder_layers": 2, "encoder_attention_heads": 4,
    "encoder_ffn_dim": 96, "decoder_layers": 3, "decoder_attention_heads": 4,
    "decoder_ffn_dim": 80, "vocab_size": 50, "num_mel_bins": 8, "max_source_positions": 20,
    "max_target_positions": 24, "pad_token_id": 1, "bos_token_id": 1, "eos_token_id": 1,
    "decoder_start_token_id": 2, "scale_embedding": True, "begin_suppress_tokens": None,
}  # fmt: skip
"""An encoder of sound and the decoder that attends to it."""
