"""Every operator of a decoder beside float32, on a whole prompt at once.

Nothing is merged, so that scores and probabilities are compared too; therefore the last row, the
head's, is near the logits of the request as it is deployed (in chunks, attention in one step) and
not quite equal.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from axsim.compiler.partition import Deployment
from axsim.kernels.array import Array
from axsim.models.decoder import decoder_layer_graph, of_layer, post_graph
from axsim.models.prompt import Prompt
from axsim.models.weights import Weights, layer_tensor, layer_weights, placed, post_weights
from axsim.models.window import windowed
from axsim.numerics import comparison as precision
from axsim.numerics.comparison import Mode, Precision
from axsim.numerics.formats import DecoderScheme, assign
from axsim.numerics.stored import StoredWeights
from axsim.numerics.weight_only import WeightOnly
from axsim.runs.host import prefill_mask


def decoder_rows(
    deployment: Deployment,
    weights: Weights,
    exact: Prompt,
    rounded: Prompt,
    mode: Mode,
    on_step: Callable[[str], None],
) -> list[Precision]:
    """Rows of every layer and of post. ``exact`` is the prompt in float32, ``rounded`` the one
    whose image rows come from the deployed vision part."""
    cfg, build = deployment.model.decoder, deployment.workload.build
    assert cfg is not None
    count = len(exact.rows)
    reference, found = (placed(weights, cfg, each.rows, 0)[None] for each in (exact, rounded))
    scheme = DecoderScheme(build.weight_dtype, build.hidden_dtype)
    graph = assign(decoder_layer_graph(cfg, count, 0), scheme)
    dummy = np.zeros((1, 1, cfg.hidden_size), np.float32)
    fixed = {
        "K_cache": dummy,
        "V_cache": dummy,
        "indices": exact.indices(0, count),
        "mask": exact.opened(prefill_mask(count, 0, count), 0, count),
    }
    arithmetic = WeightOnly()
    rows: list[Precision] = []
    outputs: dict[str, tuple[Array, Array]] = {}
    for layer in range(cfg.num_hidden_layers):
        on_step(f"decoder: layer {layer + 1} of {cfg.num_hidden_layers}")
        mask = windowed(fixed["mask"], cfg, layer, 0)
        compared = precision.compare(
            of_layer(graph, cfg, layer),
            layer_weights(weights, layer),
            arithmetic,
            {**fixed, "mask": mask, "input": reference, **exact.of_layer(layer)},
            stored=_stored(weights, layer_tensor(layer, ""), build.weight_dtype),
            found={**fixed, "mask": mask, "input": found, **rounded.of_layer(layer)},
            outputs=outputs,
            mode=mode,
        )
        rows += [_within(f"decoder.{layer}.", row) for row in compared]
        reference, found = outputs["output"]
        if layer < len(exact.deep):
            reference, found = reference + exact.deep[layer], found + rounded.deep[layer]
    scheme = DecoderScheme(build.post_weight_dtype, build.hidden_dtype)
    compared = precision.compare(
        assign(post_graph(cfg), scheme),
        post_weights(weights, cfg),
        arithmetic,
        {"input": reference[:, -1:]},
        found={"input": found[:, -1:]},
        mode=mode,
    )
    return rows + [_within("post.", row) for row in compared]


def _stored(weights: Weights, prefix: str, dtype: str) -> Callable[[str], Any]:
    """A decoder layer's weights as the NPU stores them, 4-bit codes of a checkpoint kept."""
    stored = StoredWeights(weights, dtype)
    return lambda name: stored(prefix + name)


def _within(part: str, row: Precision) -> Precision:
    return replace(row, node=part + row.node, tensor=part + row.tensor)
