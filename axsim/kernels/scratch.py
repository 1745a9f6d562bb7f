"""Memory for results that are used up at once: fresh pages cost as much as filling them."""

from __future__ import annotations

import threading
from math import prod
from typing import Any

import numpy as np

from axsim.kernels.array import Array

_LINE = 64
"""Bytes of a cache line, on which arrays begin: vectors that straddle two take longer."""


class Scratch(threading.local):
    """Arrays that each thread keeps from one use to the next."""

    def __init__(self) -> None:
        self._bytes: dict[str, Array] = {}

    def array(self, use: str, shape: tuple[int, ...], dtype: Any) -> Array:
        """An uninitialised array; the same memory for the same ``use`` on the same thread."""
        size = prod(shape) * np.dtype(dtype).itemsize
        if use not in self._bytes or self._bytes[use].size < size:
            memory = np.empty(size + _LINE, np.uint8)
            self._bytes[use] = memory[-memory.ctypes.data % _LINE :]
        array: Array = self._bytes[use][:size].view(dtype).reshape(shape)
        return array
