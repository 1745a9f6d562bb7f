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
from axsim.models.families import BY_MODEL_TYPE
from axsim.models.gguf_formats import FORMATS, REASONS, Format

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
_BIASED = {"qkv_bias": "attn_q", "output_bias": "attn_output", "mlp_bias": "ffn_down"}
"""A module that has a bias where a decoder has the part."""
_IDLE = "rope_freqs.weight"
"""Divisors of the frequencies, which the correction of the rotation gives too."""
_FACTORS = {"short_factor": "rope_factors_short.weight", "long_factor": "rope_factors_long.weight"}
"""Longrope's divisors of the frequencies, by their keys in config.json."""


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
        if not path.exists():
            raise InputError(f"no such file: {path}")
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
        self._format = _format(path, values)
        apart = {_IDLE, *_FACTORS.values()}
        self._apart = {each.name: each for each in reader.tensors if each.name in apart}
        self._tensors = {
            self._renamed(each.name): each for each in reader.tensors if each.name not in apart
        }
        # Dimensions stand the other way round in these files.
        self.shapes = {
            name: tuple(int(size) for size in tensor.shape[::-1])
            for name, tensor in self._tensors.items()
        }
        self.description = self._described(values)

    def _described(self, values: Mapping[str, Any]) -> dict[str, Any]:
        kind, form = values["general.architecture"], self._format
        keys = {**_KEYS, **form.keys}
        given = {key: _number(values.get(f"{kind}.{theirs}")) for key, theirs in keys.items()}
        heads = given["num_attention_heads"]
        if not given["head_dim"]:
            given["head_dim"] = given["hidden_size"] // heads
        turned = values.get(f"{kind}.rope.dimension_count")
        if turned and turned < given["head_dim"]:
            given["partial_rotary_factor"] = turned / given["head_dim"]
        rope = {
            "rope_type": values.get(f"{kind}.rope.scaling.type"),
            "factor": values.get(f"{kind}.rope.scaling.factor"),
            "original_max_position_embeddings": values.get(
                f"{kind}.rope.scaling.original_context_length"
            ),
        }
        factors = {
            key: [_number(float(each)) for each in self._apart[name].data]
            for key, name in _FACTORS.items()
            if name in self._apart
        }
        if factors:
            rope |= {**factors, "rope_type": "longrope", "factor": None}
        scaled = rope["rope_type"] not in (None, "none")
        end = values.get("tokenizer.ggml.eos_token_id")
        self._heads = {"q_proj": heads, "k_proj": given["num_key_value_heads"] or heads}
        return {
            "model_type": form.model_type,
            "architectures": [form.architecture],
            "vocab_size": self.shapes["model.embed_tokens.weight"][0],
            "tie_word_embeddings": "lm_head.weight" not in self.shapes,
            **({"eos_token_id": int(end)} if end is not None else {}),
            **({"rope_scaling": rope} if scaled else {}),
            **{key: value for key, value in given.items() if value is not None},
            **self._biases(),
            **form.completed(given),
        }

    def _biases(self) -> dict[str, bool]:
        """The keys of config.json that turn biases on and off, by what the first layer has."""
        held = {
            part: self._renamed(f"blk.0.{module}.bias") in self.shapes
            for part, module in _BIASED.items()
        }
        return {
            flag: all(held[part] for part in parts)
            for flag, parts in BY_MODEL_TYPE[self._format.model_type].flags.items()
            if all(part in held for part in parts)
        }

    def _renamed(self, name: str) -> str:
        """transformers' name of a tensor."""
        modules = {**_MODULES, **self._format.modules}
        match = re.fullmatch(r"(?:blk\.(\d+)\.)?(\w+)\.(weight|bias)", name)
        if match is None or match[2] not in modules:
            raise InputError(f"{self.path}: the tensor {name} is unknown")
        layer = f"model.layers.{match[1]}." if match[1] else ""
        return f"{layer}{modules[match[2]]}.{match[3]}"

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
        if "norm" in part and name.endswith("weight") and self._format.norm_offset:
            scale: Array = value - np.float32(self._format.norm_offset)
            return scale
        return self._halves(value, part) if self._format.paired and part in self._heads else value

    def _halves(self, value: Array, part: str) -> Array:
        """Rows of q or k in the order of transformers: files of Llama hold the two of each rotated
        pair side by side."""
        grouped = value.reshape(self._heads[part], -1, 2, *value.shape[1:])
        turned: Array = np.ascontiguousarray(grouped.swapaxes(1, 2)).reshape(value.shape)
        return turned


def _format(path: Path, values: Mapping[str, Any]) -> Format:
    """How the file's architecture is written down; InputError for one that is not known."""
    kind = values.get("general.architecture")
    experts = values.get(f"{kind}.expert_count")
    if experts:
        raise InputError(f"{path}: a mixture of {experts} experts is not supported")
    if kind not in FORMATS:
        why = REASONS.get(str(kind)) or f"known: {', '.join(FORMATS)}"
        raise InputError(f"{path}: general.architecture is {kind!r}; {why}")
    return FORMATS[kind]


def _number(value: Any) -> Any:
    """A number as it was meant: files hold floats of 32 bits."""
    return float(f"{value:.7g}") if isinstance(value, float) else value
