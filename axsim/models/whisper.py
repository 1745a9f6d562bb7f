"""Whisper's config.json, where encoder and decoder stand side by side, as a joined model's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_USUAL: dict[str, Any] = {
    "d_model": 384, "encoder_layers": 4, "encoder_attention_heads": 6, "encoder_ffn_dim": 1536,
    "decoder_layers": 4, "decoder_attention_heads": 6, "decoder_ffn_dim": 1536,
    "vocab_size": 51865, "num_mel_bins": 80, "max_source_positions": 1500,
    "max_target_positions": 448, "activation_function": "gelu",
}  # fmt: skip
"""What transformers 5.24 assumes where config.json is silent."""
FRAMES_PER_ROW = 2
"""Frames of a spectrogram that become one row of the encoder."""


def nested(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """``vision_config`` and ``text_config`` in the keys of other models, beside what is there; any
    other config.json as it stands."""
    if config.get("model_type") != "whisper" or "vision_config" in config:
        return config
    full = {**_USUAL, **config}
    rows = full["max_source_positions"]
    common = {"hidden_size": full["d_model"], "hidden_act": full["activation_function"]}
    encoder = {
        **common,
        "model_type": "whisper_encoder",
        "num_hidden_layers": full["encoder_layers"],
        "num_attention_heads": full["encoder_attention_heads"],
        "intermediate_size": full["encoder_ffn_dim"],
        "num_channels": full["num_mel_bins"],
        "num_frames": FRAMES_PER_ROW * rows if isinstance(rows, int) else rows,
    }
    decoder = {
        **common,
        "model_type": "whisper_decoder",
        "layer_norm_eps": 1e-5,  # of torch
        "num_hidden_layers": full["decoder_layers"],
        "num_attention_heads": full["decoder_attention_heads"],
        "intermediate_size": full["decoder_ffn_dim"],
        "vocab_size": full["vocab_size"],
        "max_position_embeddings": full["max_target_positions"],
        "cross_tokens": full["max_source_positions"],
    }
    return {**config, "vision_config": encoder, "text_config": decoder}
