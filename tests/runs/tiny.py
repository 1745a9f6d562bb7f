"""A model small enough to run its kernels in milliseconds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

from axsim.models.config import DecoderConfig, ModelConfig, ProjectorConfig
from axsim.spec.workload import Workload
from tests.models.towers import tower

VISION = tower(2, 32, 2, 56)
DECODER = DecoderConfig("qwen2", 2, 32, 48, 4, 2, 101)
TEXT = ModelConfig(DECODER)
VLM = ModelConfig(DECODER, VISION, ProjectorConfig(32))


def workload(model: ModelConfig = VLM, build: Any = None, **request: Any) -> Workload:
    """16 text tokens and one image of 4 tokens, chunks of 8, a cache of 40."""
    text = {"text_tokens": 16} if "prompt_tokens" not in request and model.decoder else {}
    settings = {"prefill_chunk": 8, "kv_cache_len": 40, **(build or {})}
    return Workload.of("tiny", model, build=settings, request={"new_tokens": 5, **text, **request})


def variants(**request: Any) -> Workload:
    """The same with two variants."""
    chosen = [{"name": name, "set": {"build.vision_dtype": name}} for name in ("u8", "u16")]
    model = VLM
    base = workload(model, **request).model_dump(exclude_unset=True)
    return Workload.model_validate({**base, "variants": tuple(chosen)})


def write(folder: Path) -> Path:
    """tiny.yaml with the two variants."""
    path = folder / "tiny.yaml"
    path.write_text(yaml.safe_dump(json.loads(variants().model_dump_json(exclude_unset=True))))
    return path
