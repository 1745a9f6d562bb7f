"""What lies beside the files of a decoder: the embedding table, the tokenizer, the configuration.

The runtime in C++ maps the table in bf16, scripts in Python load a numpy file of the same numbers.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from axsim.files import whole_file, write_json
from axsim.kernels.arithmetic import from_bf16_bits, to_bf16_bits
from axsim.models.config import DecoderConfig, ModelConfig
from axsim.models.families import FAMILIES
from axsim.models.joins import JOINS
from axsim.models.weights import Weights, embedded

TABLE = "model.embed_tokens.weight"
"""Name of the checkpoint's tensor, as the vendor's packages call the table's files."""
COPIED = (
    "*.json", "*.txt", "*.jinja", "*.model", "*.tiktoken",
    "configuration_*.py", "tokenization_*.py", "processing_*.py", "conversation.py",
)  # fmt: skip
"""Files of a checkpoint that tokenizers and configurations are made of."""
_NEVER = ("model.safetensors.index.json",)
_ROWS = 4096
_SIZES = (
    "num_hidden_layers", "hidden_size", "intermediate_size", "num_attention_heads",
    "num_key_value_heads", "head_dim", "vocab_size", "rms_norm_eps", "rope_theta",
    "tie_word_embeddings", "image_size", "patch_size", "num_channels",
)  # fmt: skip


def write_table(
    weights: Weights, cfg: DecoderConfig, folder: Path, on_rows: Callable[[int], None]
) -> list[Path]:
    """Write the table's bf16 numbers, as they stand in ``.bfloat16.bin`` and in float32 in
    ``.npy``; ``on_rows`` is told how many rows are done."""
    packed, plain = folder / f"{TABLE}.bfloat16.bin", folder / f"{TABLE}.npy"
    shape = (cfg.vocab_size, cfg.hidden_size)
    with whole_file(packed) as bits, whole_file(plain) as numbers:
        head = {"descr": "<f4", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(numbers, head)
        for start in range(0, cfg.vocab_size, _ROWS):
            stop = min(start + _ROWS, cfg.vocab_size)
            block = to_bf16_bits(embedded(weights, cfg, range(start, stop)))
            bits.write(block.astype("<u2").tobytes())
            numbers.write(from_bf16_bits(block).astype("<f4").tobytes())
            on_rows(stop)
    return [packed, plain]


def copy_described(checkpoint: Path, folder: Path) -> list[Path]:
    """Copy tokenizer and configuration of a checkpoint's folder."""
    source = checkpoint if checkpoint.is_dir() else checkpoint.parent
    found = sorted({path for pattern in COPIED for path in source.glob(pattern)})
    made = []
    for path in found:
        if path.name in _NEVER or not path.is_file():
            continue
        target = folder / path.name
        with path.open("rb") as read, whole_file(target) as write:
            shutil.copyfileobj(read, write)
        made.append(target)
    return made


def write_config(model: ModelConfig, folder: Path) -> Path:
    """Write ``config.json`` of a model without a checkpoint: its sizes, by Hugging Face's names."""
    decoder = model.decoder
    assert decoder is not None
    inner = {"model_type": FAMILIES[decoder.family].model_types[0], **_plain(decoder)}
    document: dict[str, Any] = inner
    if model.vision is not None:
        key = JOINS["internvl_chat"].decoder
        tower = _plain(model.vision)
        document = {"model_type": "internvl_chat", key: inner, "vision_config": tower}
    path = folder / "config.json"
    write_json(json.loads(json.dumps(document)), path)
    return path


def _plain(part: Any) -> dict[str, Any]:
    return {key: value for key, value in asdict(part).items() if key in _SIZES}
