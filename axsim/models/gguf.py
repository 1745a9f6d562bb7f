"""GGUF files: one file of metadata and quantised tensors, read with the package gguf.

What they say becomes what config.json would, and their tensors get the names that transformers
gives them, so that everything else is read as from any other checkpoint. Only matrices that are
asked for are dequantised.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from axsim.errors import InputError
from axsim.kernels.array import Array

_FAMILIES = {
    "llama": ("llama", "LlamaForCausalLM"),
    "qwen2": ("qwen2", "Qwen2ForCausalLM"),
    "qwen3": ("qwen3", "Qwen3ForCausalLM"),
}
"""``general.architecture`` of a file, and model_type and class of config.json."""

_KEYS = {
    "num_hidden_layers": "block_count",
    "hidden_size": "embedding_length",
    "intermediate_size": "feed_forward_length",
    "num_attention_heads": "attention.head_count",
    "num_key_value_heads": "attention.head_count_kv",
    "head_dim": "attention.key_length",
    "rms_norm_eps": "attention.layer_norm_rms_epsilon",
    "rope_theta": "rope.freq_base",
    "max_position_embeddings": "context_length",
}
_MODULES = {
    "token_embd": "model.embed_tokens",
    "output_norm": "model.norm",
    "output": "lm_head",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "attn_q_norm": "self_attn.q_norm",
    "attn_k_norm": "self_attn.k_norm",
    "attn_norm": "input_layernorm",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
_IDLE = "rope_freqs.weight"
"""Divisors of the frequencies, which the correction of the rotation gives too."""


def gguf_file(path: str | Path) -> Path | None:
    """The GGUF file that a path names, or that is the only model of a folder."""
    path = Path(path)
    if path.suffix == ".gguf":
        return path
    if not path.is_dir() or (path / "config.json").exists():
        return None
    files = sorted(path.glob("*.gguf"))
    if len(files) > 1:
        raise InputError(f"{path} has {len(files)} GGUF files; give one of them")
    return files[0] if files else None


class GgufFile:
    """One GGUF file: ``description`` as config.json, ``shapes`` of tensors by transformers' names.

    Raises InputError without the package gguf, and for a file that is broken or of an architecture
    that is not known.
    """

    def __init__(self, path: Path) -> None:
        try:
            from gguf import GGUFReader
        except ImportError:
            raise InputError(f"{path} needs the package gguf: pip install 'axsim[gguf]'") from None
        try:
            reader = GGUFReader(path)
        except (OSError, ValueError, IndexError, KeyError) as error:
            raise InputError(f"{path} is no readable GGUF file: {error}") from None
        self.path = path
        values = {key: field.contents() for key, field in reader.fields.items()}
        self._tensors = {
            _renamed(path, tensor.name): tensor for tensor in reader.tensors if tensor.name != _IDLE
        }
        # Dimensions stand the other way round in these files.
        self.shapes = {
            name: tuple(int(size) for size in tensor.shape[::-1])
            for name, tensor in self._tensors.items()
        }
        self.description = self._described(values)

    def _described(self, values: Mapping[str, Any]) -> dict[str, Any]:
        kind = values.get("general.architecture")
        if kind not in _FAMILIES:
            known = ", ".join(_FAMILIES)
            raise InputError(f"{self.path}: general.architecture is {kind!r}; known: {known}")
        model_type, architecture = _FAMILIES[kind]
        experts = values.get(f"{kind}.expert_count")
        if experts:
            raise InputError(f"{self.path}: a mixture of {experts} experts is not supported")
        given = {key: _number(values.get(f"{kind}.{theirs}")) for key, theirs in _KEYS.items()}
        heads = given["num_attention_heads"]
        rope = {
            "rope_type": values.get(f"{kind}.rope.scaling.type"),
            "factor": values.get(f"{kind}.rope.scaling.factor"),
            "original_max_position_embeddings": values.get(
                f"{kind}.rope.scaling.original_context_length"
            ),
        }
        scaled = rope["rope_type"] not in (None, "none")
        end = values.get("tokenizer.ggml.eos_token_id")
        self._heads = {"q_proj": heads, "k_proj": given["num_key_value_heads"] or heads}
        self._permuted = kind == "llama"
        return {
            "model_type": model_type,
            "architectures": [architecture],
            "vocab_size": self.shapes["model.embed_tokens.weight"][0],
            "tie_word_embeddings": "lm_head.weight" not in self.shapes,
            **({"eos_token_id": int(end)} if end is not None else {}),
            **({"rope_scaling": rope} if scaled else {}),
            **{key: value for key, value in given.items() if value is not None},
        }

    def stored(self, name: str) -> Array:
        """The tensor in float32."""
        return self.float32(name)

    def float32(self, name: str, rows: Array | None = None) -> Array:
        """The tensor, or some of its rows, dequantised."""
        from gguf.quants import dequantize

        tensor = self._tensors[name]
        data = tensor.data if rows is None else tensor.data[rows]
        try:
            value = np.array(dequantize(data, tensor.tensor_type), np.float32)
        except NotImplementedError:
            what = f"{name} is stored as {tensor.tensor_type.name}"
            raise InputError(f"{self.path}: {what}, which gguf cannot dequantise") from None
        value = value.reshape(-1, *self.shapes[name][1:])
        part = name.split(".")[-2]
        return self._halves(value, part) if self._permuted and part in self._heads else value

    def _halves(self, value: Array, part: str) -> Array:
        """Rows of q or k in the order of transformers: files of Llama hold the two of each rotated
        pair side by side."""
        grouped = value.reshape(self._heads[part], -1, 2, *value.shape[1:])
        turned: Array = np.ascontiguousarray(grouped.swapaxes(1, 2)).reshape(value.shape)
        return turned


def _number(value: Any) -> Any:
    """A number as it was meant: files hold floats of 32 bits."""
    return float(f"{value:.7g}") if isinstance(value, float) else value


def _renamed(path: Path, name: str) -> str:
    """transformers' name of a tensor."""
    match = re.fullmatch(r"(?:blk\.(\d+)\.)?(\w+)\.(weight|bias)", name)
    if match is None or match[2] not in _MODULES:
        raise InputError(f"{path}: the tensor {name} is unknown")
    layer = f"model.layers.{match[1]}." if match[1] else ""
    return f"{layer}{_MODULES[match[2]]}.{match[3]}"
