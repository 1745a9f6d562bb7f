"""Convolutions of three by three taps and stride 1 by squares of results
(:mod:`axsim.kernels.vectors.winograd`), shared between threads."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np

from axsim.kernels.array import Array
from axsim.kernels.finish import Requantise
from axsim.kernels.parallel import divided, threads
from axsim.kernels.twin import compiled
from axsim.kernels.windows import Windows

_TILES = 96
"""Squares multiplied at once: as many rows of sixteen products."""
_LEAST = 40
"""Squares of an image for which sixteen products pay: fewer read the weights for too little."""
_WIDE = 32
"""Channels on either side for which they do: sums over squares cost as much as products of few."""
TIMES = 4
"""How many times a result sums of codes become on the way, which have to fit S32."""

Product = Callable[[Array, tuple[Any, ...], Array], None]
"""Takes a padded image [H, W, C], what loops take of a finish, and its result [positions, M], which
is written."""


def pay(shape: tuple[int, ...], group: int, at: Windows, dtype: Any) -> bool:
    """Whether squares are the faster way for a weight of ``shape`` [M, C, y, x], and images of
    ``dtype`` with these windows."""
    if len(shape) != 4 or group > 1 or shape[2:] != (3, 3) or min(shape[:2]) < _WIDE:
        return False
    height, width = _squares(at)
    if at.strides != (1, 1) or at.dilations != (1, 1) or height * width < _LEAST:
        return False
    loops = compiled("axsim.kernels.vectors.winograd")
    return loops is not None and bool(loops.takes(shape[1], dtype))


def weight(w: Array) -> Array:
    """The panels of a weight [M, C, 3, 3], float32 or int8."""
    loops = compiled("axsim.kernels.vectors.winograd")
    assert loops is not None
    panels: Array = loops.tiles_of(w)
    return panels


@lru_cache(maxsize=256)
def whole(at: Windows) -> Windows:
    """Windows for whole squares of results, so that an image is padded for them."""
    height, width = _squares(at)
    return replace(at, size=(2 * height, 2 * width))


def convolved(panels: Array, at: Windows) -> Product:
    """The product of a float32 image whose finish is a :class:`axsim.kernels.pixels.Finish`;
    ``panels``: of :func:`weight`."""
    tasks = compiled("axsim.kernels.vectors.float_tasks")
    assert tasks is not None
    return _shared(tasks.squares, panels, at, np.dtype(np.float32))


def convolved_codes(
    panels: Array, at: Windows, finish: Requantise
) -> Callable[[Array, Array], None]:
    """What writes codes ``out`` [height, width, M] of a padded ``image`` [H, W, C] of codes as
    int16."""
    finishes = compiled("axsim.kernels.finish_numba")
    tasks = compiled("axsim.kernels.vectors.code_tasks")
    assert finishes is not None
    assert tasks is not None
    numbers = finishes.requantising(finish, True)
    product = _shared(tasks.squares[np.dtype(finish.y.numpy)], panels, at, np.dtype(np.int16))
    return lambda image, out: product(image, numbers, out.reshape(-1, out.shape[2]))


def _shared(task: Any, panels: Array, at: Windows, dtype: np.dtype[Any]) -> Product:
    loops = compiled("axsim.kernels.vectors.winograd")
    assert loops is not None
    lines, across = _squares(at)
    step = max(1, _TILES // across)
    workers = threads()
    blocks, shares = divided(lines * across / _TILES, 2, panels.shape[1], workers)
    height = -(-lines // blocks)
    step = -(-height // -(-height // step))
    share = -(-panels.shape[1] // shares) * loops.WIDTH
    split = lines, height, step, share, shares, at.size[1]

    def product(image: Array, finish: tuple[Any, ...], out: Array) -> None:
        memory = loops.memory_of(workers, step * across, image.shape[2], share, dtype)
        task(blocks * shares, (image, panels, memory, finish, out, *split), workers)

    return product


def _squares(at: Windows) -> tuple[int, int]:
    height, width = at.size
    return -(-height // 2), -(-width // 2)
