"""Rotary position tables."""

from __future__ import annotations

from functools import lru_cache
from math import ceil, floor, log, pi

from axsim.kernels.array import Array
from axsim.models.config import RopeScaling, Rotation


@lru_cache(maxsize=16)
def rope_table(rotation: Rotation, width: int, positions: int) -> tuple[Array, Array]:
    """Cosine and sine of position * frequency, float32 [positions, width / 2] each, for ``width``
    rotated channels; ones and zeros where nothing rotates."""
    import numpy as np

    theta, scaling = rotation
    channels = np.arange(0, width, 2, dtype=np.float64)
    frequency = theta ** (-channels / width) if theta else 0 * channels
    if scaling is not None:
        frequency = _corrected(frequency, theta, width, scaling)
    # Frequencies are float32 and so are the angles, as in the models' training code.
    frequency = frequency.astype(np.float32)
    angle = np.arange(positions, dtype=np.float32)[:, None] * frequency
    cos, sin = np.cos(angle), np.sin(angle)
    if scaling is not None and scaling.attention_factor != 1:
        cos, sin = (np.float32(scaling.attention_factor) * part for part in (cos, sin))
    cos.flags.writeable = sin.flags.writeable = False
    return cos, sin


def _corrected(frequency: Array, theta: float, width: int, scaling: RopeScaling) -> Array:
    """The frequencies of the channel pairs under a correction; see RopeScaling."""
    import numpy as np

    context = scaling.original_max_position_embeddings
    if scaling.kind == "linear":
        return frequency / scaling.factor
    if scaling.kind == "longrope":
        of_pairs: Array = frequency / np.array(scaling.short_factor)
        return of_pairs
    if scaling.kind == "llama3":
        turns = context * frequency / (2 * pi)
        low, high = scaling.low_freq_factor, scaling.high_freq_factor
        keep = np.clip((turns - low) / (high - low), 0, 1)
    else:
        # The channel pair that turns so many times within the original context.
        first, last = (
            width * log(context / (turns * 2 * pi)) / (2 * log(theta))
            for turns in (scaling.beta_fast, scaling.beta_slow)
        )
        if scaling.truncate:
            first, last = floor(first), ceil(last)
        first, last = max(first, 0), min(last, width - 1)
        pairs = np.arange(len(frequency))
        keep = 1 - np.clip((pairs - first) / (last - first or 0.001), 0, 1)
    corrected: Array = frequency * (keep + (1 - keep) / scaling.factor)
    return corrected
