"""A model small enough to run its kernels in milliseconds."""

from __future__ import annotations

from typing import Any

from axsim.models.config import DecoderConfig, ModelConfig, ProjectorConfig, VisionConfig
from axsim.workload import Workload

VISION = VisionConfig(
    num_hidden_layers=2,
    hidden_size=32,
    intermediate_size=64,
    num_attention_heads=2,
    patch_size=14,
    image_size=56,
)
DECODER = DecoderConfig("qwen2", 2, 32, 48, 4, 2, 101)
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
