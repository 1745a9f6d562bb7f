"""Sliding windows of attention: what a layer's queries must not look back at."""

from __future__ import annotations

import numpy as np

from axsim.kernels.array import Array
from axsim.models.config import DecoderConfig


def windowed(mask: Array, cfg: DecoderConfig, layer: int, start: int) -> Array:
    """A mask [1, new, cached + new] of ``layer``: the given one, and a key further back than the
    layer's window masked. New rows are the tokens from ``start`` on; cached ones those from 0 on.
    """
    window = cfg.window(layer)
    new, keys = mask.shape[-2:]
    if not window or start + new <= window:
        return mask
    queries = start + np.arange(new)
    position = np.concatenate([np.arange(keys - new), queries])
    outside: Array = np.where(queries[:, None] - position >= window, _MASKED, np.float32(0))
    return np.minimum(mask, outside)


_MASKED = np.float32(-65536)  # as the host loop masks
