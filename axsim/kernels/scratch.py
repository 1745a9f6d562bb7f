"""Memory for results that are used up at once: fresh pages cost as much as filling them."""

from __future__ import annotations

import threading
from math import prod
from typing import Any

import numpy as np

from axsim.kernels.array import Array

_LINE = 64
"""Bytes of a cache line, on which arrays begin: vectors that straddle two take longer."""


def aligned(shape: tuple[int, ...], dtype: Any) -> Array:
    """An uninitialised array that begins on a cache line."""
    size = prod(shape) * np.dtype(dtype).itemsize
    memory = np.empty(size + _LINE, np.uint8)
    start = -memory.ctypes.data % _LINE
    array: Array = memory[start : start + size].view(dtype).reshape(shape)
    return array


_VIEWS = 1000
"""Shapes of a use whose arrays are kept ready."""


class Scratch(threading.local):
    """Arrays that each thread keeps from one use to the next."""

    def __init__(self) -> None:
        self._uses: dict[str, tuple[Array, dict[Any, Array]]] = {}

    def array(self, use: str, shape: tuple[int, ...], dtype: Any) -> Array:
        """An uninitialised array; the same memory for the same ``use`` on the same thread."""
        try:
            return self._uses[use][1][shape, dtype]
        except KeyError:
            return self._made(use, shape, dtype)

    def _made(self, use: str, shape: tuple[int, ...], dtype: Any) -> Array:
        size = prod(shape) * np.dtype(dtype).itemsize
        if use not in self._uses or self._uses[use][0].size < size:
            self._uses[use] = aligned((size,), np.uint8), {}
        memory, views = self._uses[use]
        if len(views) > _VIEWS:
            views.clear()
        array: Array = memory[:size].view(dtype).reshape(shape)
        views[shape, dtype] = array
        return array
