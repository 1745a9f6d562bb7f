"""Operators of shape arithmetic: computed while a graph is read, never part of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import prod
from typing import Any

import numpy as np

from axsim.graph.ops import OPERATORS
from axsim.kernels.array import Array

MOST_ELEMENTS = 1 << 26
"""Of an array that is computed while a graph is read."""


def _bounded(elements: int) -> None:
    if elements > MOST_ELEMENTS:
        raise ValueError(f"makes a constant of {elements:,} numbers, more than {MOST_ELEMENTS:,}")


def _constant_of_shape(shape: Array, value: Array | None = None) -> Array:
    value = np.zeros(1, np.float32) if value is None else value
    _bounded(prod(map(int, np.asarray(shape).reshape(-1))))
    return np.full(shape, value.reshape(-1)[0])


def _range(start: Array, limit: Array, delta: Array) -> Array:
    if delta == 0:
        raise ValueError("a range in steps of 0")
    count = max(int(np.ceil((limit - start) / delta)), 0)
    _bounded(count)
    return (start + np.arange(count) * delta).astype(start.dtype)


def _trilu(x: Array, k: Array | None = None, upper: int = 1) -> Array:
    offset = 0 if k is None else int(k)
    return np.triu(x, offset) if upper else np.tril(x, offset)


def _one_hot(indices: Array, depth: Array, values: Array, axis: int = -1) -> Array:
    _bounded(indices.size * int(depth))
    hot = np.expand_dims(indices % int(depth), axis)
    spread = [1] * hot.ndim
    spread[axis] = -1
    places = np.arange(int(depth)).reshape(spread)
    array: Array = np.where(hot == places, values[1], values[0])
    return array


def _cumsum(x: Array, axis: Array, exclusive: int = 0, reverse: int = 0) -> Array:
    along = int(axis)
    x = np.flip(x, along) if reverse else x
    total = np.cumsum(x, along, dtype=x.dtype)
    total = total - x if exclusive else total
    return np.flip(total, along) if reverse else total


ARITHMETIC: Mapping[str, Callable[..., Array]] = {
    "ConstantOfShape": _constant_of_shape,
    "Range": _range,
    "NonZero": lambda x: np.array(np.nonzero(x), np.int64),
    "Trilu": _trilu,
    "OneHot": _one_hot,
    "CumSum": _cumsum,
    "IsNaN": np.isnan,
}
"""What a graph computes from constants alone, beside the operators themselves and Shape and Size,
which need shapes only."""


def can_fold(op: str) -> bool:
    """Whether ``op`` has a value once those of its operands are there."""
    return op in ARITHMETIC or op in OPERATORS


def fold(op: str, operands: Sequence[Array | None], attrs: Mapping[str, Any]) -> list[Array]:
    """The results of one node on constants; attributes as our operators have them."""
    if op in ARITHMETIC:
        return [np.asarray(ARITHMETIC[op](*operands, **attrs))]
    for shape in OPERATORS[op].shape([() if x is None else x.shape for x in operands], attrs):
        _bounded(prod(shape))
    return [np.asarray(y) for y in OPERATORS[op].kernel(*operands, **attrs)]
