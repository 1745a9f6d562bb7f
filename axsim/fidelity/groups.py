"""What rows of a ledger have in common: the kind of time they measure and the architecture."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import replace

from axsim.fidelity.ledger import Measurement, series
from axsim.models.config import ModelConfig

GROUPS: dict[str, str] = {
    "vision_encode_ms": "vision",
    "prefill_layer_ms": "prefill",
    "ttft_ms": "ttft",
    "decode_layer_ms": "decode",
    "decode_tokens_per_s": "decode",
    "token_ms": "decode",
    "post_ms": "post",
    "compiler_cycles": "compiler",
    "graph_ms": "graph",
    "frames_per_s": "graph",
}
"""Metrics of one group have their errors from the same mechanisms: an interval belongs to a group
of a chip. Whole-prompt times stand beside single layers, since they have the host's share too."""


def group(metric: str) -> str:
    """The group of a metric; a metric that is new here is a group of its own."""
    return GROUPS.get(metric, metric)


def architecture(row: Measurement, models: Mapping[str, ModelConfig]) -> Hashable:
    """What makes models one: InternVL2-1B's decoder is Qwen2.5-0.5B but for a few words. The
    compiler's own matmuls are one by operand type, NPU mode and long operand."""
    model = models.get(row.model)
    if row.metric == "vision_encode_ms" and model is not None:
        return model.vision
    if model is None or model.decoder is None:
        return series(row) if row.metric == "compiler_cycles" else row.model
    return replace(model.decoder, vocab_size=1, tie_word_embeddings=False)


def names(rows: list[Measurement]) -> str:
    """The models of ``rows``, each once; matmuls by their kind."""
    labels = [
        " ".join(str(part) for part in series(row)[1:] if part)
        if row.metric == "compiler_cycles"
        else row.model
        for row in rows
    ]
    return ", ".join(dict.fromkeys(labels))
