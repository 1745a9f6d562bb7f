"""Attention of one head in float32, by vectors."""

from __future__ import annotations

from typing import Any

import numpy as np

from axsim.kernels.array import Array
from axsim.kernels.floats_numba import exponentials_of
from axsim.kernels.jit import compiled
from axsim.kernels.vectors.multiply import multiply, panels_of
from axsim.kernels.vectors.tiles import WIDTH, supported

_BLOCK = 48
"""Query rows of a block, whose scores stay in the L2 cache beside keys and values."""
_PAGE = 1024
"""Float32 numbers of 4 KB: rows that far apart share lines of the L1 cache."""


def attends(q: Array, k: Array, v: Array) -> bool:
    """Whether :func:`attend` takes such heads on this CPU: float32, of whole panels' channels."""
    real = all(x.dtype == np.float32 for x in (q, k, v))
    return real and q.shape[-1] == v.shape[-1] and q.shape[-1] % WIDTH == 0 and supported()


def attend(q: Array, k: Array, v: Array, mask: None, out: Array) -> None:
    """:func:`axsim.kernels.attention.attend` of heads that :func:`attends` lets in.

    Sums have the same order on any number of threads.
    """
    keys, width = v.shape
    columns = -(-keys // WIDTH) * WIDTH
    step = columns + WIDTH if columns % _PAGE == 0 else columns
    scores = np.empty((_BLOCK, step), np.float32)
    context = np.empty((_BLOCK, width), np.float32)
    _attend(np.ascontiguousarray(q), panels_of(k.T), panels_of(v.T), scores, context, out)


@compiled
def _attend(q: Any, by_key: Any, by_channel: Any, scores: Any, context: Any, out: Any) -> None:
    keys, width = by_channel.shape[1], q.shape[1]
    nothing, totals = np.zeros(_BLOCK, np.float32), np.empty(_BLOCK, np.float32)
    for top in range(0, q.shape[0], _BLOCK):
        rows = min(_BLOCK, q.shape[0] - top)
        multiply(q[top : top + rows], nothing, by_key, 0, scores[:rows], 0, by_key.shape[0] * WIDTH)
        for i in range(rows):
            totals[i] = exponentials_of(scores[i, :keys], True)
        multiply(scores[:rows], nothing, by_channel, 0, context[:rows], 0, width)
        for i in range(rows):
            factor = np.float32(1) / totals[i]
            for j in range(width):
                out[top + i, j] = context[i, j] * factor
