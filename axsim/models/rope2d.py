"""Rotary tables of vision towers: by the row and the column of a patch."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from axsim.kernels.array import Array
from axsim.models.config import VisionConfig
from axsim.models.tower_windows import order


@lru_cache(maxsize=8)
def axial_table(vision: VisionConfig, grid: tuple[int, int]) -> tuple[Array, Array]:
    """Cosine and sine [1, tokens, head_dim / 2] float32, in the tower's order of tokens: half of
    the pairs turn with the row, the other half with the column. Tokens before the patches do not
    turn."""
    quarter = vision.head_dim // 4
    rows, columns = grid
    row, column = (c.reshape(-1) for c in np.mgrid[:rows, :columns].astype(np.float32))
    if vision.rotary == "dinov3":
        # Patch centres, from -1 to 1, in full turns.
        row = np.float32(2 * np.pi) * (2 * (row + np.float32(0.5)) / rows - 1)
        column = np.float32(2 * np.pi) * (2 * (column + np.float32(0.5)) / columns - 1)
    steps = np.arange(2 * quarter) / (2 * quarter)
    frequency = (vision.rotary_theta**-steps).astype(np.float32)
    # Those of a quarter of the head for both, but for Pixtral, which deals out those of half of it.
    of_row, of_column = frequency[::2], frequency[::2]
    if vision.rotary == "pixtral":
        of_column = frequency[1::2]
    angle = np.concatenate([row[:, None] * of_row, column[:, None] * of_column], axis=1)
    if vision.window_size:
        angle = angle[order(vision, grid)]
    angle = np.concatenate([np.zeros((vision.prefix_tokens, 2 * quarter), np.float32), angle])
    cos, sin = np.cos(angle)[None], np.sin(angle)[None]
    cos.flags.writeable = sin.flags.writeable = False
    return cos, sin
