"""Operators on activation codes: products, attention, softmax, tables, normalisation, sums.

Rows are split into blocks for threads and caches; the results do not depend on the split. What
happens to a block is in :mod:`axsim.kernels.products` and :mod:`axsim.kernels.codes`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from axsim.kernels import codes as passes
from axsim.kernels.array import Array
from axsim.kernels.finish import Requantise
from axsim.kernels.parallel import for_rows, parallel, threads
from axsim.kernels.products import Packed, Products
from axsim.kernels.qparams import QParams
from axsim.kernels.twin import compiled

_GEMM_ROWS = {"u8": 256, "u16": 128}
_ELEMENTS = 1 << 16
_ATTENTION_ROWS = 520
"""Query rows of a block: as few as keep the sums near the core, as many as keep the calls few."""


@dataclass(frozen=True, slots=True)
class IntegerMatrix:
    """An S8 weight matrix [N, K] ready for products: packed codes and float32 row scales [N]."""

    packed: Packed
    scale: Array


def bias_codes(bias: Array | None, scale: Array) -> Array:
    """S32 codes, held as int64 [N], of a float32 bias whose unit is ``scale`` [N]."""
    if bias is None:
        return np.zeros(scale.shape, np.int64)
    steps = np.rint(bias.astype(np.float64) / scale)
    return np.clip(steps, -(2.0**31), 2.0**31 - 1).astype(np.int64)


def gemm(a: Array, matrix: IntegerMatrix, bias: Array | None, x: QParams, y: QParams) -> Array:
    """Codes [M, N] of ``a @ w.T + bias`` for codes ``a`` [M, K]; ``bias`` float32 [N] or None."""
    scale = np.float32(x.scale) * matrix.scale
    shift = bias_codes(bias, scale) - x.zero_point * matrix.packed.totals
    finish = Requantise(shift, scale / np.float32(y.scale), y)
    a, packed = np.ascontiguousarray(a), matrix.packed
    out = np.empty((a.shape[0], scale.size), y.numpy)
    if x.dtype == "u8" and len(a) < threads():  # each thread has its own columns, then
        begins, pieces = np.arange(len(a)) * a.shape[1], np.zeros(1, np.int64)
        product = packed.windows(begins, pieces, a.shape[1], finish, packed.image)
        if product is not None:
            product(a.astype(packed.image, copy=False), out, None)
            return out
    for_rows(lambda rows: packed.into(a[rows], finish, out[rows]), len(a), _GEMM_ROWS[x.dtype])
    return out


Product = Callable[[Array, Array], None]
"""Writes the product of C-contiguous codes [M, K] and a fixed right operand to [M, N]."""


def by_codes(products: Products, b: Array, qa: QParams, qb: QParams, y: QParams) -> Product:
    """``a @ b`` for codes of parameters ``qa`` and codes ``b`` [K, N] of parameters ``qb``."""
    packed = products.pack(b.T, qb.zero_point)
    factor = np.float32(qa.scale) * np.float32(qb.scale) / np.float32(y.scale)
    multiplier = np.full(packed.totals.size, factor, np.float32)
    finish = Requantise(-qa.zero_point * packed.totals, multiplier, y)
    return lambda a, out: packed.into(a, finish, out)


def matmul(products: Products, a: Array, b: Array, qa: QParams, qb: QParams, y: QParams) -> Array:
    """Codes of the product of two activations over broadcast leading dimensions."""
    lead = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    a = np.broadcast_to(a, lead + a.shape[-2:])
    b = np.broadcast_to(b, lead + b.shape[-2:])
    out = np.empty((*lead, a.shape[-2], b.shape[-1]), y.numpy)
    indices = list(np.ndindex(lead))

    def task(i: int) -> None:
        product = by_codes(products, b[indices[i]], qa, qb, y)
        product(np.ascontiguousarray(a[indices[i]]), out[indices[i]])

    parallel(len(indices), task)
    return out


@dataclass(frozen=True, slots=True)
class AttentionQParams:
    """Quantisation of the tensors of one attention: operands, scores, probabilities, result."""

    q: QParams
    k: QParams
    v: QParams
    scores: QParams
    softmax: QParams
    context: QParams


def attention(products: Products, q: Array, k: Array, v: Array, p: AttentionQParams) -> Array:
    """``softmax(q @ k) @ v`` on codes, block by block: scores never leave the cache.

    ``q`` [heads, T, d], ``k`` [heads, d, S], ``v`` [heads, S, d]; returns [heads, T, d] codes, the
    same as the three operators one after another. Windows may stand before the heads.
    """
    if q.ndim > 3:
        whole = (*q.shape[:-1], v.shape[-1])
        q, k, v = (x.reshape(-1, *x.shape[-2:]) for x in (q, k, v))
        return attention(products, q, k, v, p).reshape(whole)
    heads, tokens, _ = q.shape
    out = np.empty((heads, tokens, v.shape[2]), p.context.numpy)
    step = -(-tokens // -(-tokens // _ATTENTION_ROWS))
    exponentials = exponential_table(p.scores)

    def task(head: int) -> None:
        # Heads are views with strides; copied here once, not in every product.
        queries = np.ascontiguousarray(q[head])
        score = by_codes(products, k[head], p.q, p.k, p.scores)
        context = by_codes(products, v[head], p.softmax, p.v, p.context)
        scores = np.empty((step, k.shape[2]), p.scores.numpy)
        same = p.softmax.dtype == p.scores.dtype
        shares = scores if same else np.empty(scores.shape, p.softmax.numpy)
        for start in range(0, tokens, step):
            rows = slice(start, min(start + step, tokens))
            count = rows.stop - start
            score(queries[rows], scores[:count])
            passes.softmax(scores[:count], exponentials, p.softmax, shares[:count])
            context(shares[:count], out[head, rows])

    parallel(heads, task)
    return out


@lru_cache(maxsize=64)
def exponential_table(x: QParams) -> Array:
    """round(2^24 exp(-n scale)) as int32 for n = 0 to the largest code: what Softmax sums."""
    steps = np.arange(x.high + 1, dtype=np.float64) * -float(np.float32(x.scale))
    table: Array = np.rint(np.exp(steps) * 2.0**24).astype(np.int32)
    table.flags.writeable = False
    return table


def softmax(codes: Array, x: QParams, y: QParams) -> Array:
    """Softmax along the last axis, on codes [..., S]."""
    rows = np.ascontiguousarray(codes).reshape(-1, codes.shape[-1])
    out = np.empty(rows.shape, y.numpy)
    exponentials = exponential_table(x)

    def task(part: slice) -> None:
        passes.softmax(rows[part], exponentials, y, out[part])

    for_rows(task, len(rows), max(1, _ELEMENTS // rows.shape[1]))
    return out.reshape(codes.shape)


def table(kernel: Callable[[Array], Array], x: QParams, y: QParams) -> Array:
    """Output code for every input code of an elementwise ``kernel`` (float32 to float32)."""
    codes = np.arange(x.high + 1, dtype=x.numpy)
    return y.quantise(kernel(x.dequantise(codes)))


def look_up(table: Array, codes: Array) -> Array:
    """``table[codes]`` for U8 or U16 codes."""
    source = np.ascontiguousarray(codes).reshape(-1)
    out = np.empty(source.shape, table.dtype)
    for_rows(lambda part: passes.look_up(table, source[part], out[part]), out.size, _ELEMENTS)
    return out.reshape(codes.shape)


def layer_norm(
    codes: Array, scale: Array, bias: Array | None, epsilon: float, x: QParams, y: QParams
) -> Array:
    """LayerNormalization over the last axis of codes [rows, width]; real ``scale`` and ``bias``."""
    if bias is None:
        bias = np.zeros_like(scale)
    out = np.empty(codes.shape, y.numpy)
    codes = np.ascontiguousarray(codes)

    def task(rows: slice) -> None:
        passes.layer_norm(codes[rows], x, scale, bias, epsilon, y, out[rows])

    for_rows(task, len(codes), max(1, _ELEMENTS // codes.shape[1]))
    return out


def add(a: Array, b: Array, qa: QParams, qb: QParams, y: QParams) -> Array:
    """Codes of the sum of two tensors of one shape [rows, ...]."""
    a, b = np.ascontiguousarray(a), np.ascontiguousarray(b)
    out = np.empty(a.shape, y.numpy)
    vectors = compiled("axsim.kernels.vectors.integers")
    if vectors is not None and vectors.add(a, qa, b, qb, y, out):
        return out
    for_rows(
        lambda rows: passes.add(a[rows], qa, b[rows], qb, y, out[rows]),
        len(a),
        max(1, _ELEMENTS * len(a) // a.size),
    )
    return out


def scale_columns(a: Array, factor: Array, x: QParams, y: QParams) -> Array:
    """Codes of ``a`` [rows, width] times a real ``factor`` [width]."""
    a = np.ascontiguousarray(a)
    factor = np.ascontiguousarray(factor, np.float32).reshape(-1)
    out = np.empty(a.shape, y.numpy)

    def task(rows: slice) -> None:
        passes.scale_columns(a[rows], x, factor, y, out[rows])

    for_rows(task, len(a), max(1, _ELEMENTS // a.shape[1]))
    return out


def in_float(
    kernel: Callable[..., Array],
    operands: Sequence[Array],
    quantisation: Sequence[QParams | None],
    y: QParams | None,
    shape: tuple[int, ...],
) -> Array:
    """Dequantise, compute, quantise, for operators that treat rows alone.

    ``operands`` broadcast to ``shape``; those of its first dimension's size are split by rows.
    ``quantisation``: None for an operand that holds real values; ``y`` None for a real result.
    """
    rows = shape[0]
    split = [a.ndim == len(shape) and a.shape[0] == rows and rows > 1 for a in operands]
    out = np.empty(shape, np.float32 if y is None else y.numpy)

    def task(part: slice) -> None:
        values = [
            real(a[part] if cut else a, q)
            for a, q, cut in zip(operands, quantisation, split, strict=True)
        ]
        result = kernel(*values)
        out[part] = result if y is None else y.quantise(result)

    width = max(1, out.size // rows)
    for_rows(task, rows, max(1, _ELEMENTS // width))
    return out


def real(value: Array, q: QParams | None) -> Array:
    """float32 values of codes, or ``value`` itself (integers become float32) without ``q``."""
    return value.astype(np.float32, copy=False) if q is None else q.dequantise(value)
