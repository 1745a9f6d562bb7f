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


def bilinear(source: int, target: int) -> Array:
    """The linear map [target, source] of a 1-D bilinear resize: half-pixel centres, edges clamped,
    no antialiasing."""
    position = (np.arange(target) + 0.5) * (source / target) - 0.5
    return _linear(np.clip(position, 0, source - 1), source)


def corners(source: int, target: int) -> Array:
    """The linear map [target, source] of a 1-D bilinear resize that keeps both ends in place."""
    return _linear(np.linspace(0, source - 1, target), source)


def nearest(source: int, target: int) -> Array:
    """The map [target, source] that takes the last row at or before each target's place."""
    matrix = np.zeros((target, source))
    matrix[np.arange(target), np.arange(target) * source // target] = 1
    return matrix


def _linear(position: Array, source: int) -> Array:
    """Each target's two neighbours, weighted."""
    target = len(position)
    first = np.minimum(position.astype(int), source - 1)
    weight = position - first
    matrix = np.zeros((target, source))
    np.add.at(matrix, (np.arange(target), first), 1 - weight)
    np.add.at(matrix, (np.arange(target), np.minimum(first + 1, source - 1)), weight)
    return matrix


METHODS = {"bicubic": bicubic, "bilinear": bilinear, "corners": corners, "nearest": nearest}


def resample(
    embedding: Array,
    source: tuple[int, int],
    target: tuple[int, int],
    fixed: int,
    method: str = "bicubic",
) -> Array:
    """[1, fixed + source rows * columns, hidden] to [1, fixed + target rows * columns, hidden],
    float32; the first ``fixed`` rows stay."""
    if source == target:
        return embedding
    grid = embedding[0, fixed:].astype(np.float64).reshape(*source, -1)
    down, across = (METHODS[method](a, b) for a, b in zip(source, target, strict=True))
    grid = np.einsum("yi,xj,ijc->yxc", down, across, grid, optimize=True)
    rows = grid.reshape(1, target[0] * target[1], -1).astype(np.float32)
    return np.concatenate([embedding[:, :fixed], rows], axis=1)


def _cubic(distance: Array) -> Array:
    """Keys' cubic convolution kernel at a distance in source pixels."""
    near = ((_A + 2) * distance - (_A + 3)) * distance**2 + 1
    far = _A * (((distance - 5) * distance + 8) * distance - 4)
    weight: Array = np.where(distance <= 1, near, np.where(distance < 2, far, 0.0))
    return weight
