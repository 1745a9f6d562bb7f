"""Resampling the position embedding to another number of patches."""

from __future__ import annotations

import numpy as np

from axsim.kernels.array import Array

_A = -0.75
"""The cubic kernel's parameter in torch's bicubic interpolation."""


def bicubic(source: int, target: int) -> Array:
    """The linear map [target, source] of a 1-D bicubic resize.

    Half-pixel centres (``align_corners=False``), edges clamped, no antialiasing. ``source ==
    target`` gives the identity exactly.
    """
    position = (np.arange(target) + 0.5) * (source / target) - 0.5
    first = np.floor(position).astype(int) - 1
    matrix = np.zeros((target, source))
    for tap in range(4):
        column = np.clip(first + tap, 0, source - 1)
        np.add.at(matrix, (np.arange(target), column), _cubic(np.abs(position - first - tap)))
    return matrix


def resample(embedding: Array, source: int, target: int, class_token: bool) -> Array:
    """[1, (1 +) source^2, hidden] to [1, (1 +) target^2, hidden], float32; the class token's row,
    if there is one, comes first and stays."""
    if source == target:
        return embedding
    fixed = int(class_token)
    grid = embedding[0, fixed:].astype(np.float64).reshape(source, source, -1)
    matrix = bicubic(source, target)
    grid = np.einsum("yi,xj,ijc->yxc", matrix, matrix, grid, optimize=True)
    rows = grid.reshape(1, target * target, -1).astype(np.float32)
    return np.concatenate([embedding[:, :fixed], rows], axis=1)


def _cubic(distance: Array) -> Array:
    """Keys' cubic convolution kernel at a distance in source pixels."""
    near = ((_A + 2) * distance - (_A + 3)) * distance**2 + 1
    far = _A * (((distance - 5) * distance + 8) * distance - 4)
    weight: Array = np.where(distance <= 1, near, np.where(distance < 2, far, 0.0))
    return weight
