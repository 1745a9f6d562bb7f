"""The columns that a sweep's table will have, known before anything is computed."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable

from axsim.runs.shared_results import scenario_columns
from axsim.spec.scenario import Scenario
from axsim.spec.workload import Workload
from axsim.study.grid import Space
from axsim.system.metrics import PREDICTED

_CONDITIONS = (
    "model", "npu_mode", "images", "image_size", "vision_dtype", "weight_dtype", "kv_cache_len",
    "prefill_chunk", "prefill_chunks", "toolchain", "float_matmul_on_conv", "cached_tokens",
    "prompt_tokens", "new_tokens", "seed", "preprocess_ms", "post_ms",
)  # fmt: skip
_METRIC_PARTS = ("", "_low", "_high", "_measured", "_error", "_extrapolated")
_REST = (
    "weights_bytes", "kv_cache_bytes", "activations_bytes", "embedding_bytes", "capacity_bytes",
    "fits", "load_ms", "synthetic", "cosine", "vision_cosine", "logits_cosine", "graph_cosine",
    "float32_perplexity", "perplexity", "kl_divergence", "top1_agreement", "judged_tokens",
    "generated_tokens", "error",
)  # fmt: skip


def table_columns(varied: Iterable[str] = (), blocks: Collection[str] = ()) -> list[str]:
    """Chip, variant, the varied and set keys, and what every row has
    (:meth:`axsim.runs.results.VariantResult.to_row`) where a chip has the optional ``blocks``."""
    metrics = [
        f"{metric.name}{part}"
        for metric in PREDICTED
        for part in _METRIC_PARTS
        if not metric.needs or metric.needs in blocks
    ]
    return ["chip", "variant", *varied, *_CONDITIONS, *metrics, *_REST]


def columns_of(subject: Workload | Scenario, where: Space) -> list[str]:
    """Those of a space's table, of a workload or of a scenario."""
    keys = [*where.vary, *where.settings]
    power = any(key.startswith("chip.power") for key in keys)
    power = power or any(json.loads(chip).get("power") for _, chip in where.chips)
    if isinstance(subject, Scenario):
        return ["chip", "variant", *keys, *scenario_columns(subject, power), "error"]
    return table_columns(keys, ["power"] if power else [])
