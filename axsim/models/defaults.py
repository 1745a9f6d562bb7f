"""What transformers assumes where config.json is silent, by ``model_type``.

config.json leaves out what equals the default of its configuration class; published ones of
vision-language models often name little more of their language part than its ``model_type``.
Defaults that are zero, false or nothing are left out here too. Source: the configuration classes of
transformers 5.24; of InternLM2 and MiniCPM those that their authors publish beside the weights.
"""

from __future__ import annotations

from typing import Any

# fmt: off
DECODER_DEFAULTS: dict[str, dict[str, Any]] = {
    "olmo": {
        "vocab_size": 50304, "hidden_size": 4096, "intermediate_size": 11008,
        "num_hidden_layers": 32, "num_attention_heads": 32, "hidden_act": "silu",
        "max_position_embeddings": 2048, "layer_norm_eps": 1e-05, "rope_theta": 10000.0,
    },
    "arcee": {
        "vocab_size": 32000, "hidden_size": 2560, "intermediate_size": 18432,
        "num_hidden_layers": 32, "num_attention_heads": 32, "hidden_act": "relu2",
        "max_position_embeddings": 4096, "rms_norm_eps": 1e-05, "rope_theta": 10000.0,
    },
    "nemotron": {
        "vocab_size": 256000, "hidden_size": 6144, "intermediate_size": 24576,
        "num_hidden_layers": 32, "num_attention_heads": 48, "hidden_act": "relu2",
        "max_position_embeddings": 4096, "norm_eps": 1e-05, "rope_theta": 10000.0,
        "partial_rotary_factor": 0.5,
    },
    "paddleocr_vl_text": {
        "vocab_size": 103424, "hidden_size": 1024, "intermediate_size": 3072,
        "num_hidden_layers": 18, "num_attention_heads": 16, "num_key_value_heads": 2,
        "head_dim": 128, "hidden_act": "silu", "max_position_embeddings": 131072,
        "rms_norm_eps": 1e-05, "tie_word_embeddings": True, "rope_theta": 500000.0,
        "mrope_section": [16, 24, 24],
    },
    "llama": {
        "vocab_size": 32000, "hidden_size": 4096, "intermediate_size": 11008,
        "num_hidden_layers": 32, "num_attention_heads": 32, "hidden_act": "silu",
        "max_position_embeddings": 2048, "rms_norm_eps": 1e-06, "rope_theta": 10000.0,
    },
    "internlm3": {
        "vocab_size": 128512, "hidden_size": 4096, "intermediate_size": 10240,
        "num_hidden_layers": 48, "num_attention_heads": 32, "num_key_value_heads": 2,
        "hidden_act": "silu", "max_position_embeddings": 32768, "rms_norm_eps": 1e-05,
        "rope_theta": 10000.0,
    },
    "mistral": {
        "vocab_size": 32000, "hidden_size": 4096, "intermediate_size": 14336,
        "num_hidden_layers": 32, "num_attention_heads": 32, "num_key_value_heads": 8,
        "hidden_act": "silu", "max_position_embeddings": 131072, "rms_norm_eps": 1e-06,
        "sliding_window": 4096, "rope_theta": 10000.0,
    },
    "ministral3": {
        "vocab_size": 131072, "hidden_size": 4096, "intermediate_size": 14336,
        "num_hidden_layers": 34, "num_attention_heads": 32, "num_key_value_heads": 8,
        "hidden_act": "silu", "max_position_embeddings": 262144, "rms_norm_eps": 1e-05,
        "rope_theta": 1000000.0, "head_dim": 128,
    },
    "qwen2": {
        "vocab_size": 151936, "hidden_size": 4096, "intermediate_size": 22016,
        "num_hidden_layers": 32, "num_attention_heads": 32, "hidden_act": "silu",
        "max_position_embeddings": 32768, "rms_norm_eps": 1e-06, "max_window_layers": 28,
        "rope_theta": 10000.0,
    },
    "qwen3": {
        "vocab_size": 151936, "hidden_size": 4096, "intermediate_size": 22016,
        "num_hidden_layers": 32, "num_attention_heads": 32, "head_dim": 128, "hidden_act": "silu",
        "max_position_embeddings": 32768, "rms_norm_eps": 1e-06, "max_window_layers": 28,
        "rope_theta": 10000.0,
    },
    "phi": {
        "vocab_size": 51200, "hidden_size": 2048, "intermediate_size": 8192,
        "num_hidden_layers": 24, "num_attention_heads": 32, "hidden_act": "gelu_new",
        "max_position_embeddings": 2048, "layer_norm_eps": 1e-05, "rope_theta": 10000.0,
        "partial_rotary_factor": 0.5,
    },
    "phi3": {
        "vocab_size": 32064, "hidden_size": 3072, "intermediate_size": 8192,
        "num_hidden_layers": 32, "num_attention_heads": 32, "hidden_act": "silu",
        "max_position_embeddings": 4096, "rms_norm_eps": 1e-05,
        "original_max_position_embeddings": 4096, "rope_theta": 10000.0,
    },
    "gemma": {
        "vocab_size": 256000, "hidden_size": 3072, "intermediate_size": 24576,
        "num_hidden_layers": 28, "num_attention_heads": 16, "head_dim": 256,
        "hidden_act": "gelu_pytorch_tanh", "max_position_embeddings": 8192, "rms_norm_eps": 1e-06,
        "tie_word_embeddings": True, "rope_theta": 10000.0,
    },
    "gemma2": {
        "vocab_size": 256000, "hidden_size": 2304, "intermediate_size": 9216,
        "num_hidden_layers": 26, "num_attention_heads": 8, "num_key_value_heads": 4,
        "head_dim": 256, "hidden_activation": "gelu_pytorch_tanh", "max_position_embeddings": 8192,
        "rms_norm_eps": 1e-06, "tie_word_embeddings": True, "sliding_window": 4096,
        "query_pre_attn_scalar": 256, "final_logit_softcapping": 30.0,
        "attn_logit_softcapping": 50.0, "rope_theta": 10000.0,
    },
    "gemma3_text": {
        "vocab_size": 262208, "hidden_size": 2304, "intermediate_size": 9216,
        "num_hidden_layers": 26, "num_attention_heads": 8, "num_key_value_heads": 4,
        "head_dim": 256, "hidden_activation": "gelu_pytorch_tanh",
        "max_position_embeddings": 131072, "rms_norm_eps": 1e-06, "tie_word_embeddings": True,
        "sliding_window": 4096, "query_pre_attn_scalar": 256, "rope_theta": 1000000.0,
        "rope_local_base_freq": 10000.0,
    },
    "smollm3": {
        "vocab_size": 128256, "hidden_size": 2048, "intermediate_size": 11008,
        "num_hidden_layers": 36, "num_attention_heads": 16, "num_key_value_heads": 4,
        "hidden_act": "silu", "max_position_embeddings": 32768, "rms_norm_eps": 1e-06,
        "tie_word_embeddings": True, "no_rope_layer_interval": 4, "rope_theta": 2000000.0,
    },
    "granite": {
        "vocab_size": 32000, "hidden_size": 4096, "intermediate_size": 11008,
        "num_hidden_layers": 32, "num_attention_heads": 32, "hidden_act": "silu",
        "max_position_embeddings": 2048, "rms_norm_eps": 1e-06, "embedding_multiplier": 1.0,
        "logits_scaling": 1.0, "residual_multiplier": 1.0, "attention_multiplier": 1.0,
        "rope_theta": 10000.0,
    },
    "olmo2": {
        "vocab_size": 50304, "hidden_size": 4096, "intermediate_size": 11008,
        "num_hidden_layers": 32, "num_attention_heads": 32, "hidden_act": "silu",
        "max_position_embeddings": 2048, "rms_norm_eps": 1e-05, "rope_theta": 10000.0,
    },
    "olmo3": {
        "vocab_size": 50304, "hidden_size": 4096, "intermediate_size": 11008,
        "num_hidden_layers": 32, "num_attention_heads": 32, "hidden_act": "silu",
        "max_position_embeddings": 2048, "rms_norm_eps": 1e-05, "sliding_window": 4096,
        "rope_theta": 500000.0, "rope_local_base_freq": 500000.0,
    },
    "exaone4": {
        "vocab_size": 102400, "hidden_size": 4096, "intermediate_size": 16384,
        "num_hidden_layers": 32, "num_attention_heads": 32, "hidden_act": "silu",
        "max_position_embeddings": 2048, "rms_norm_eps": 1e-05, "sliding_window": 4096,
        "sliding_window_pattern": 4, "rope_theta": 10000.0,
    },
    "ernie4_5": {
        "vocab_size": 103424, "hidden_size": 1024, "intermediate_size": 3072,
        "num_hidden_layers": 18, "num_attention_heads": 16, "num_key_value_heads": 2,
        "head_dim": 128, "hidden_act": "silu", "max_position_embeddings": 131072,
        "rms_norm_eps": 1e-05, "tie_word_embeddings": True, "rope_theta": 500000.0,
    },
    "glm": {
        "vocab_size": 151552, "hidden_size": 4096, "intermediate_size": 13696,
        "num_hidden_layers": 40, "num_attention_heads": 32, "num_key_value_heads": 2,
        "head_dim": 128, "hidden_act": "silu", "max_position_embeddings": 131072,
        "rms_norm_eps": 1.5625e-07, "attention_bias": True, "rope_theta": 10000.0,
        "partial_rotary_factor": 0.5,
    },
    "glm4": {
        "vocab_size": 151552, "hidden_size": 4096, "intermediate_size": 13696,
        "num_hidden_layers": 40, "num_attention_heads": 32, "num_key_value_heads": 2,
        "head_dim": 128, "hidden_act": "silu", "max_position_embeddings": 131072,
        "rms_norm_eps": 1.5625e-07, "attention_bias": True, "rope_theta": 10000.0,
        "partial_rotary_factor": 0.5,
    },
    "cohere": {
        "vocab_size": 256000, "hidden_size": 8192, "intermediate_size": 22528,
        "num_hidden_layers": 40, "num_attention_heads": 64, "hidden_act": "silu",
        "max_position_embeddings": 8192, "layer_norm_eps": 1e-05, "tie_word_embeddings": True,
        "logit_scale": 0.0625, "rope_theta": 500000.0,
    },
    "cohere2": {
        "vocab_size": 256000, "hidden_size": 8192, "intermediate_size": 22528,
        "num_hidden_layers": 40, "num_attention_heads": 64, "hidden_act": "silu",
        "max_position_embeddings": 8192, "layer_norm_eps": 1e-05, "tie_word_embeddings": True,
        "sliding_window": 4096, "logit_scale": 0.0625, "rope_theta": 10000.0,
    },
    "stablelm": {
        "vocab_size": 50304, "hidden_size": 2560, "intermediate_size": 6912,
        "num_hidden_layers": 32, "num_attention_heads": 32, "hidden_act": "silu",
        "max_position_embeddings": 4096, "layer_norm_eps": 1e-05, "rope_theta": 10000.0,
        "partial_rotary_factor": 0.25,
    },
    "starcoder2": {
        "vocab_size": 49152, "hidden_size": 3072, "intermediate_size": 12288,
        "num_hidden_layers": 30, "num_attention_heads": 24, "num_key_value_heads": 2,
        "hidden_act": "gelu_pytorch_tanh", "max_position_embeddings": 4096, "norm_epsilon": 1e-05,
        "tie_word_embeddings": True, "use_bias": True, "rope_theta": 10000.0,
    },
    "helium": {
        "vocab_size": 48000, "hidden_size": 2560, "intermediate_size": 7040,
        "num_hidden_layers": 24, "num_attention_heads": 20, "head_dim": 128, "hidden_act": "silu",
        "max_position_embeddings": 4096, "rms_norm_eps": 1e-08, "rope_theta": 100000.0,
    },
    "seed_oss": {
        "vocab_size": 155136, "hidden_size": 4096, "intermediate_size": 27648,
        "num_hidden_layers": 64, "num_attention_heads": 80, "num_key_value_heads": 8,
        "head_dim": 128, "hidden_act": "silu", "max_position_embeddings": 524288,
        "rms_norm_eps": 1e-06, "attention_bias": True, "rope_theta": 10000.0,
    },
    "ministral": {
        "vocab_size": 32000, "hidden_size": 4096, "intermediate_size": 14336,
        "num_hidden_layers": 32, "num_attention_heads": 32, "num_key_value_heads": 8,
        "hidden_act": "silu", "max_position_embeddings": 131072, "rms_norm_eps": 1e-06,
        "sliding_window": 4096, "rope_theta": 10000.0,
    },
    "hunyuan_v1_dense": {
        "vocab_size": 290943, "hidden_size": 4096, "intermediate_size": 11008,
        "num_hidden_layers": 32, "num_attention_heads": 32, "hidden_act": "silu",
        "max_position_embeddings": 2048, "rms_norm_eps": 1e-05, "rope_theta": 10000.0,
    },
    "internlm2": {
        "vocab_size": 103168, "hidden_size": 4096, "intermediate_size": 11008,
        "num_hidden_layers": 32, "num_attention_heads": 32, "hidden_act": "silu",
        "max_position_embeddings": 2048, "rms_norm_eps": 1e-06, "rope_theta": 10000.0, "bias": True,
    },
    "minicpm": {
        "vocab_size": 32000, "hidden_size": 4096, "intermediate_size": 11008,
        "num_hidden_layers": 32, "num_attention_heads": 32, "hidden_act": "silu",
        "max_position_embeddings": 2048, "rms_norm_eps": 1e-06, "rope_theta": 10000.0,
        "tie_word_embeddings": True, "scale_emb": 1, "dim_model_base": 1, "scale_depth": 1,
    },
    "qwen2_vl_text": {
        "vocab_size": 152064, "hidden_size": 8192, "intermediate_size": 29568,
        "num_hidden_layers": 80, "num_attention_heads": 64, "num_key_value_heads": 8,
        "hidden_act": "silu", "max_position_embeddings": 32768, "rms_norm_eps": 1e-05,
        "rope_theta": 1000000.0,
    },
    "qwen2_5_vl_text": {
        "vocab_size": 152064, "hidden_size": 8192, "intermediate_size": 29568,
        "num_hidden_layers": 80, "num_attention_heads": 64, "num_key_value_heads": 8,
        "hidden_act": "silu", "max_position_embeddings": 32768, "rms_norm_eps": 1e-05,
        "rope_theta": 1000000.0,
    },
    "qwen3_vl_text": {
        "vocab_size": 151936, "hidden_size": 4096, "intermediate_size": 22016,
        "num_hidden_layers": 32, "num_attention_heads": 32, "head_dim": 128, "hidden_act": "silu",
        "max_position_embeddings": 128000, "rms_norm_eps": 1e-06, "rope_theta": 500000.0,
    },
}

VISION_DEFAULTS: dict[str, dict[str, Any]] = {
    "paddleocr_vl_vision": {
        "hidden_size": 1152, "intermediate_size": 4304, "num_hidden_layers": 27,
        "num_attention_heads": 16, "image_size": 384, "patch_size": 14,
        "hidden_act": "gelu_pytorch_tanh", "layer_norm_eps": 1e-06, "spatial_merge_size": 2,
    },
    "internvl_vision": {
        "hidden_size": 1024, "intermediate_size": 4096, "num_hidden_layers": 24,
        "num_attention_heads": 16, "image_size": [448, 448], "patch_size": [14, 14],
        "hidden_act": "gelu", "layer_norm_eps": 1e-06,
    },
    "qwen2_vl_vision": {
        "hidden_size": 3584, "patch_size": 14, "hidden_act": "quick_gelu", "mlp_ratio": 4,
        "depth": 32, "embed_dim": 1280, "num_heads": 16, "spatial_merge_size": 2,
        "temporal_patch_size": 2,
    },
    "qwen2_5_vl_vision": {
        "hidden_size": 3584, "intermediate_size": 3420, "patch_size": 14, "hidden_act": "silu",
        "depth": 32, "num_heads": 16, "window_size": 112, "fullatt_block_indexes": [7, 15, 23, 31],
        "spatial_merge_size": 2, "temporal_patch_size": 2, "out_hidden_size": 3584,
    },
    "qwen3_vl_vision": {
        "hidden_size": 1152, "intermediate_size": 4304, "patch_size": 16,
        "hidden_act": "gelu_pytorch_tanh", "depth": 27, "num_heads": 16,
        "num_position_embeddings": 2304, "spatial_merge_size": 2, "temporal_patch_size": 2,
        "out_hidden_size": 3584, "deepstack_visual_indexes": [8, 16, 24],
    },
    "smolvlm_vision": {
        "hidden_size": 1152, "intermediate_size": 3072, "num_hidden_layers": 12,
        "num_attention_heads": 16, "image_size": 224, "patch_size": 32,
        "hidden_act": "gelu_pytorch_tanh", "layer_norm_eps": 1e-06,
    },
    "idefics3_vision": {
        "hidden_size": 1152, "intermediate_size": 3072, "num_hidden_layers": 12,
        "num_attention_heads": 16, "image_size": 224, "patch_size": 32,
        "hidden_act": "gelu_pytorch_tanh", "layer_norm_eps": 1e-06,
    },
    "janus_vision_model": {
        "hidden_size": 1024, "num_hidden_layers": 24, "num_attention_heads": 16, "image_size": 384,
        "patch_size": 16, "hidden_act": "gelu", "layer_norm_eps": 1e-06, "mlp_ratio": 4.0,
        "attention_bias": True, "depth": 2,
    },
    "siglip_vision_model": {
        "hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12,
        "num_attention_heads": 12, "image_size": 224, "patch_size": 16,
        "hidden_act": "gelu_pytorch_tanh", "layer_norm_eps": 1e-06,
    },
    "siglip2_vision_model": {
        "hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12,
        "num_attention_heads": 12, "patch_size": 16, "hidden_act": "gelu_pytorch_tanh",
        "layer_norm_eps": 1e-06, "num_patches": 256,
    },
    "clip_vision_model": {
        "hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12,
        "num_attention_heads": 12, "image_size": 224, "patch_size": 32, "hidden_act": "quick_gelu",
        "layer_norm_eps": 1e-05,
    },
    "vit": {
        "hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12,
        "num_attention_heads": 12, "image_size": 224, "patch_size": 16, "hidden_act": "gelu",
        "layer_norm_eps": 1e-12, "qkv_bias": True,
    },
    "deit": {
        "hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12,
        "num_attention_heads": 12, "image_size": 224, "patch_size": 16, "hidden_act": "gelu",
        "layer_norm_eps": 1e-12, "qkv_bias": True,
    },
    "dinov2": {
        "hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12, "image_size": 224,
        "patch_size": 14, "hidden_act": "gelu", "layer_norm_eps": 1e-06, "mlp_ratio": 4,
        "qkv_bias": True,
    },
    "dinov2_with_registers": {
        "hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12, "image_size": 224,
        "patch_size": 16, "hidden_act": "gelu", "layer_norm_eps": 1e-06, "mlp_ratio": 4,
        "qkv_bias": True, "num_register_tokens": 4,
    },
    "dinov3_vit": {
        "hidden_size": 384, "intermediate_size": 1536, "num_hidden_layers": 12,
        "num_attention_heads": 6, "image_size": 224, "patch_size": 16, "hidden_act": "gelu",
        "layer_norm_eps": 1e-05, "rope_theta": 100.0,
    },
    "pixtral": {
        "hidden_size": 1024, "intermediate_size": 4096, "num_hidden_layers": 24,
        "num_attention_heads": 16, "image_size": 1024, "patch_size": 16, "hidden_act": "gelu",
        "rope_theta": 10000.0,
    },
}
# fmt: on
