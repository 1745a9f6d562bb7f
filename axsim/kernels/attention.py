"""Attention on blocks of query rows, whose scores never leave the core's cache."""

from __future__ import annotations

from math import prod

import numpy as np

from axsim.kernels.array import Array
from axsim.kernels.dense import matmul
from axsim.kernels.parallel import parallel
from axsim.kernels.rowwise import exponentials
from axsim.kernels.twin import twin

_ROWS = 208
"""Query rows of a block: 208 rows of 1025 float32 scores are 0.85 MB, inside a core's L2 cache."""
_SAFE = 80.0
"""Scores within ±80 need no subtraction of their maximum: exp and sums of it stay in range."""
_SMALL = 1 << 16
"""With fewer scores than this in total, threads cost more than they save."""


def attention(q: Array, k: Array, v: Array, scale: Array | None, mask: Array | None) -> Array:
    """``softmax(q @ k * scale + mask) @ v`` over leading head dimensions, in float32.

    q [*heads, T, d]; k [*heads, d, S] and v [*heads, S, d], whose head dimensions may be 1 where
    q's are not (grouped queries share them); mask broadcasts to [*heads, T, S]. Returns
    [*heads, T, d].
    """
    *heads, rows, _ = q.shape
    keys, width = v.shape[-2:]
    if scale is not None:
        q = q * scale
    if prod(heads) * rows * keys < _SMALL:
        return _unblocked(q, k, v, mask)
    k = np.broadcast_to(k, (*heads, *k.shape[-2:]))
    v = np.broadcast_to(v, (*heads, *v.shape[-2:]))
    if mask is not None:
        mask = np.broadcast_to(mask, (*heads, rows, keys))
    # Laid out as [T, *heads, d], so that merging the heads afterwards is a view.
    out = np.empty((rows, *heads, width), np.float32)

    def task(i: int) -> None:
        index = tuple(int(j) for j in np.unravel_index(i, heads))
        masked = None if mask is None else mask[index]
        attend(q[index], k[index], v[index], masked, np.moveaxis(out, 0, -2)[index])

    parallel(prod(heads), task)
    return np.moveaxis(out, 0, -2)


def _by_vectors(q: Array, k: Array, v: Array, mask: Array | None, out: Array) -> bool:
    from axsim.kernels.vectors.heads import attends

    return mask is None and attends(q, k, v)


@twin("axsim.kernels.vectors.heads", _by_vectors)
def attend(q: Array, k: Array, v: Array, mask: Array | None, out: Array) -> None:
    """``softmax(q @ k + mask) @ v`` of one head: q and ``out`` [T, d], k [d, S], v [S, d], mask
    [T, S]. None need be contiguous."""
    q, k, v = (np.ascontiguousarray(t) for t in (q, k, v))
    bounded = mask is None and _bound(q, k) <= _SAFE
    rows, keys = len(q), k.shape[1]
    step = -(-rows // -(-rows // _ROWS))
    buffer = np.empty((step, keys), np.float32)
    for start in range(0, rows, step):
        part = slice(start, min(start + step, rows))
        scores = np.matmul(q[part], k, out=buffer[: part.stop - start])
        if mask is not None:
            scores += mask[part]
        totals = exponentials(scores, shift=not bounded)
        context = scores @ v
        context /= totals[:, None]
        out[part] = context


def _bound(q: Array, k: Array) -> float:
    """No product of a row of q and a column of k is greater (Cauchy and Schwarz)."""
    longest_q = np.einsum("td,td->t", q, q).max()
    longest_k = np.einsum("ds,ds->s", k, k).max()
    return float((longest_q * longest_k) ** 0.5)


def _unblocked(q: Array, k: Array, v: Array, mask: Array | None) -> Array:
    scores = matmul(q, k)
    if mask is not None:
        scores += mask
    totals = exponentials(scores.reshape(-1, scores.shape[-1]))
    context = matmul(scores, v)
    context /= totals.reshape(*scores.shape[:-1], 1)
    return context
