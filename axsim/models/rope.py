"""Rotary position tables."""

from __future__ import annotations

from functools import lru_cache
from math import pi

from axsim.kernels.array import Array
from axsim.models.config import DecoderConfig


@lru_cache(maxsize=8)
def rope_table(cfg: DecoderConfig, positions: int) -> tuple[Array, Array]:
    """Cosine and sine of position * frequency, float32 [positions, rotary_dim / 2] each."""
    import numpy as np

    dim = cfg.rotary_dim
    frequency = cfg.rope_theta ** (-np.arange(0, dim, 2, dtype=np.float64) / dim)
    scaling = cfg.rope_scaling
    if scaling is not None and scaling.kind == "linear":
        frequency /= scaling.factor
    elif scaling is not None:
        turns = scaling.original_max_position_embeddings * frequency / (2 * pi)
        low, high = scaling.low_freq_factor, scaling.high_freq_factor
        keep = np.clip((turns - low) / (high - low), 0, 1)
        frequency *= keep + (1 - keep) / scaling.factor
    # Frequencies are float32 and so are the angles, as in the models' training code.
    frequency = frequency.astype(np.float32)
    angle = np.arange(positions, dtype=np.float32)[:, None] * frequency
    cos, sin = np.cos(angle), np.sin(angle)
    cos.flags.writeable = sin.flags.writeable = False
    return cos, sin
