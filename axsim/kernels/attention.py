"""Attention on blocks of query rows, whose scores never leave the core's cache."""

from __future__ import annotations

from math import prod

import numpy as np

from axsim.kernels.array import Array
from axsim.kernels.compiled import compiled
from axsim.kernels.matmul import matmul
from axsim.kernels.parallel import parallel
from axsim.kernels.softmax import exponentials

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
    panels = compiled("axsim.kernels.panels_numba")
    if panels is not None and not (mask is None and panels.attends(q, k, v)):
        panels = None
    # Laid out as [T, *heads, d], so that merging the heads afterwards is a view.
    out = np.empty((rows, *heads, width), np.float32)
    blocks = -(-rows // _ROWS)
    step = -(-rows // blocks)

    def task(i: int) -> None:
        index = tuple(int(j) for j in np.unravel_index(i, heads))
        out_head = np.moveaxis(out, 0, -2)[index]
        if panels is not None:
            panels.attend(q[index], k[index], v[index], out_head)
            return
        q_head, k_head, v_head = (np.ascontiguousarray(t[index]) for t in (q, k, v))
        bounded = mask is None and _bound(q_head, k_head) <= _SAFE
        buffer = np.empty((min(step, rows), keys), np.float32)
        for start in range(0, rows, step):
            part = slice(start, min(start + step, rows))
            scores = np.matmul(q_head[part], k_head, out=buffer[: part.stop - start])
            if mask is not None:
                scores += mask[index][part]
            totals = exponentials(scores, shift=not bounded)
            context = scores @ v_head
            context /= totals[:, None]
            out_head[part] = context

    parallel(prod(heads), task)
    return np.moveaxis(out, 0, -2)


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
