"""The part of Janus that makes pictures: counted, never deployed.

Tokens of pictures come from a head of their own and become pixels in a VQ-VAE of convolutions
(Janus-Pro, arXiv 2501.17811; shapes as in ``modeling_janus.py`` of transformers 5.24).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

USUAL: dict[str, Any] = {
    "embed_dim": 8, "num_embeddings": 16384, "double_latent": False, "latent_channels": 256,
    "in_channels": 3, "out_channels": 3, "base_channels": 128, "num_res_blocks": 2,
    "channel_multiplier": [1, 1, 2, 2, 4], "projection_dim": 2048, "num_hidden_layers": 2,
    "image_token_embed_dim": 2048,
}  # fmt: skip
"""``vq_config`` where config.json is silent."""


def parameters(given: Mapping[str, Any]) -> int:
    """Elements of all its tensors, by config.json's ``vq_config``."""
    vq = {**USUAL, **given}
    codes: int = vq["num_embeddings"]
    width: int = vq["embed_dim"]
    picked: int = vq["projection_dim"]
    latent: int = vq["latent_channels"]
    found = _encoder(vq) + _decoder(vq) + codes * width  # the codebook last
    found += _conv(2 * latent if vq["double_latent"] else latent, width, 1)
    found += _conv(width, latent, 1)
    found += codes * width + _linear(width, picked)  # embedding and aligner
    layers: int = vq["num_hidden_layers"]
    found += (layers - 1) * _linear(picked, picked)
    drawn: int = vq["image_token_embed_dim"]
    return found + _linear(drawn, picked) + _linear(picked, codes)


def _encoder(vq: Mapping[str, Any]) -> int:
    base: int = vq["base_channels"]
    factors: list[int] = vq["channel_multiplier"]
    found, last = _conv(vq["in_channels"], base), base
    for level, factor in enumerate(factors):
        found += _stage(last, base * factor, vq["num_res_blocks"], level == len(factors) - 1)
        last = base * factor
        found += _conv(last, last) if level < len(factors) - 1 else 0
    latent = vq["latent_channels"] * (2 if vq["double_latent"] else 1)
    return found + _middle(last) + 2 * last + _conv(last, latent)


def _decoder(vq: Mapping[str, Any]) -> int:
    base: int = vq["base_channels"]
    factors: list[int] = vq["channel_multiplier"]
    last = base * factors[-1]
    found = _conv(vq["latent_channels"], last) + _middle(last)
    for level, factor in reversed(list(enumerate(factors))):
        found += _stage(last, base * factor, vq["num_res_blocks"] + 1, level == len(factors) - 1)
        last = base * factor
        found += _conv(last, last) if level else 0
    return found + 2 * last + _conv(last, vq["out_channels"])


def _stage(inputs: int, outputs: int, blocks: int, attends: bool) -> int:
    """Residual blocks of one resolution, the coarsest with attention behind each."""
    found = _residual(inputs, outputs) + (blocks - 1) * _residual(outputs, outputs)
    return found + (blocks * _attention(outputs) if attends else 0)


def _middle(channels: int) -> int:
    return 2 * _residual(channels, channels) + _attention(channels)


def _residual(inputs: int, outputs: int) -> int:
    """Norm, convolution, norm, convolution, and a matrix where the width changes."""
    shortcut = _conv(inputs, outputs, 1) if inputs != outputs else 0
    return 2 * inputs + _conv(inputs, outputs) + 2 * outputs + _conv(outputs, outputs) + shortcut


def _attention(channels: int) -> int:
    return 2 * channels + 4 * _conv(channels, channels, 1)


def _conv(inputs: int, outputs: int, side: int = 3) -> int:
    return (inputs * side * side + 1) * outputs


def _linear(inputs: int, outputs: int) -> int:
    return (inputs + 1) * outputs
