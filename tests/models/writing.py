"""Small checkpoints on disk in the layouts that people have."""

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from axsim.models.config import DecoderConfig, ModelConfig
from axsim.models.layout import Layout, Stored
from axsim.models.weights import Weights, tensor_shapes


def write_safetensors(path: Path, tensors: Mapping[str, np.ndarray]) -> None:
    """float32 arrays stored as bfloat16 (their upper halves), other arrays as they are."""
    names = {"float16": "F16", "int32": "I32", "float64": "F64"}
    header, blobs, offset = {"__metadata__": {"format": "pt"}}, [], 0
    for name, array in tensors.items():
        if array.dtype == np.float32:
            data = (array.view(np.uint32) >> np.uint32(16)).astype("<u2").tobytes()
            dtype = "BF16"
        else:
            data, dtype = array.tobytes(), names[array.dtype.name]
        header[name] = {
            "dtype": dtype,
            "shape": list(array.shape),
            "data_offsets": [offset, offset + len(data)],
        }
        blobs.append(data)
        offset += len(data)
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + b"".join(blobs))


def stored(weights: Weights, config: ModelConfig, layout: Layout) -> dict[str, np.ndarray]:
    """Every tensor under the names of ``layout``."""
    tensors = {}
    for name in tensor_shapes(config):
        sources = layout.sources(config, name)
        parts = np.split(weights(name), len(sources))
        for source, part in zip(sources, parts, strict=True):
            put(tensors, source, part)
    return tensors


def put(tensors: dict[str, np.ndarray], source: Stored, ours: np.ndarray) -> None:
    """A tensor of ours into the stored one, of which it may be some rows."""
    ours = ours - np.float32(source.offset) if source.offset else ours
    ours = np.ascontiguousarray(ours.T if source.transposed else ours)
    if not source.height:
        tensors[source.name] = ours
        return
    whole = tensors.setdefault(source.name, np.zeros(source.shape(ours.shape), np.float32))
    grouped = whole.reshape(source.groups, source.height, *ours.shape[1:])
    grouped[:, source.start : source.stop] = ours.reshape(source.groups, -1, *ours.shape[1:])


def write(folder: Path, config: dict, tensors: Mapping[str, np.ndarray], shards: int = 1) -> Path:
    """config.json and model.safetensors, or that many shards with their index."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    if shards == 1:
        write_safetensors(folder / "model.safetensors", tensors)
        return folder
    weight_map = {}
    for i in range(shards):
        file = f"model-{i + 1:05d}-of-{shards:05d}.safetensors"
        part = dict(list(tensors.items())[i::shards])
        write_safetensors(folder / file, part)
        weight_map |= dict.fromkeys(part, file)
    index = {"metadata": {}, "weight_map": weight_map}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index), encoding="utf-8")
    return folder


def decoder_json(cfg: DecoderConfig) -> dict:
    """config.json of a Hugging Face decoder, in the field names of transformers 4."""
    config = {
        "model_type": "phi" if cfg.family == "phi2" else cfg.family,
        "num_hidden_layers": cfg.num_hidden_layers,
        "hidden_size": cfg.hidden_size,
        "intermediate_size": cfg.intermediate_size,
        "num_attention_heads": cfg.num_attention_heads,
        "num_key_value_heads": cfg.num_key_value_heads,
        "vocab_size": cfg.vocab_size,
        "rope_theta": cfg.rope_theta,
        "tie_word_embeddings": cfg.tie_word_embeddings,
        "hidden_act": "gelu_new" if cfg.family == "phi2" else "silu",
        "layer_norm_eps" if cfg.family == "phi2" else "rms_norm_eps": cfg.rms_norm_eps,
    }
    if cfg.family == "phi2":
        config["partial_rotary_factor"] = cfg.partial_rotary_factor
    if cfg.family == "qwen3":
        config["head_dim"] = cfg.head_dim
    return config


def internvl_chat_json(config: ModelConfig) -> dict:
    """config.json as OpenGVLab writes it."""
    vision = config.vision
    return {
        "model_type": "internvl_chat",
        "architectures": ["InternVLChatModel"],
        "downsample_ratio": 0.5,
        "ps_version": "v2",
        "select_layer": -1,
        "force_image_size": vision.image_size,
        "template": "Hermes-2",
        "torch_dtype": "bfloat16",
        "llm_config": decoder_json(config.decoder) | {"tie_word_embeddings": True},
        "vision_config": {
            "model_type": "intern_vit_6b",
            "num_hidden_layers": vision.num_hidden_layers,
            "hidden_size": vision.hidden_size,
            "intermediate_size": vision.intermediate_size,
            "num_attention_heads": vision.num_attention_heads,
            "patch_size": vision.patch_size,
            "image_size": vision.image_size,
            "qkv_bias": True,
            "qk_normalization": False,
            "norm_type": "layer_norm",
            "hidden_act": "gelu",
            "layer_norm_eps": vision.layer_norm_eps,
        },
    }


def internvl_hf_json(config: ModelConfig) -> dict:
    """config.json of the native Hugging Face model."""
    vision = config.vision
    return {
        "model_type": "internvl",
        "downsample_ratio": 0.5,
        "vision_feature_layer": -1,
        "projector_hidden_act": "gelu",
        "text_config": decoder_json(config.decoder),
        "vision_config": {
            "model_type": "internvl_vision",
            "num_hidden_layers": vision.num_hidden_layers,
            "hidden_size": vision.hidden_size,
            "intermediate_size": vision.intermediate_size,
            "num_attention_heads": vision.num_attention_heads,
            "patch_size": [vision.patch_size] * 2,
            "image_size": [vision.image_size] * 2,
            "attention_bias": True,
            "use_qk_norm": False,
            "norm_type": "layer_norm",
            "hidden_act": "gelu",
            "layer_norm_eps": vision.layer_norm_eps,
        },
    }
