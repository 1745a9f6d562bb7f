"""Kernels on activation codes: matrix products, softmax, tables and dequantised operators.

Rows are split into blocks for threads and caches; the results do not depend on the split.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from axsim.graph.array import Array
from axsim.graph.kernels.blas import one_blas_thread
from axsim.graph.kernels.parallel import parallel, threads
from axsim.quantization.integer import (
    Backend,
    Packed,
    gemm_sums,
    product_codes,
    requantise,
    rounded_codes,
)
from axsim.quantization.qparams import QParams

_GEMM_ROWS = {"u8": 256, "u16": 128}
_ELEMENTS = 1 << 16
_ATTENTION_ROWS = 128
"""Query rows of a block: 128 rows of 1025 float32 scores take half of a core's L2 cache."""


@dataclass(frozen=True, slots=True)
class IntegerMatrix:
    """An S8 weight matrix [N, K] ready for products: packed codes, float32 row scales [N], and the
    int64 sums of each row's codes [N], which carry the share of the activation's zero point."""

    packed: Packed
    scale: Array
    row_sums: Array


def for_rows(task: Callable[[slice], None], rows: int, block: int) -> None:
    """Call ``task`` on slices of at most about ``block`` rows, the same number for each thread."""
    workers = threads()
    count = max(1, -(-rows // (block * workers))) * workers
    step = -(-rows // count)
    parallel(-(-rows // step), lambda i: task(slice(i * step, min((i + 1) * step, rows))))


def gemm(a: Array, matrix: IntegerMatrix, bias: Array | None, x: QParams, y: QParams) -> Array:
    """Codes [M, N] of ``a @ w.T + bias`` for codes ``a`` [M, K]; ``bias`` float32 [N] or None."""
    scale = np.float32(x.scale) * matrix.scale
    multiplier = scale / np.float32(y.scale)
    correction = bias_codes(bias, scale) - x.zero_point * matrix.row_sums
    a = np.ascontiguousarray(a)
    out = np.empty((a.shape[0], matrix.scale.size), y.numpy)

    def task(rows: slice) -> None:
        acc = gemm_sums(matrix.packed, a[rows], correction)
        out[rows] = requantise(acc, multiplier, y.zero_point, y.dtype)

    with one_blas_thread():  # for the products of the plain backend
        for_rows(task, a.shape[0], _GEMM_ROWS[x.dtype])
    return out


def bias_codes(bias: Array | None, scale: Array) -> Array:
    """S32 codes, held as int64 [N], of a float32 bias whose unit is ``scale`` [N]."""
    if bias is None:
        return np.zeros(scale.shape, np.int64)
    steps = np.rint(bias.astype(np.float64) / scale)
    return np.clip(steps, -(2.0**31), 2.0**31 - 1).astype(np.int64)


def matmul(backend: Backend, a: Array, b: Array, qa: QParams, qb: QParams, y: QParams) -> Array:
    """Codes of the product of two activations over broadcast leading dimensions."""
    lead = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    a = np.broadcast_to(a, lead + a.shape[-2:])
    b = np.broadcast_to(b, lead + b.shape[-2:])
    out = np.empty((*lead, a.shape[-2], b.shape[-1]), y.numpy)
    zeros, multiplier = _product_constants(qa, qb, y)
    indices = list(np.ndindex(lead))

    def task(i: int) -> None:
        left = np.ascontiguousarray(a[indices[i]])
        right = np.ascontiguousarray(b[indices[i]])
        out[indices[i]] = product_codes(backend, left, right, zeros, multiplier, y.dtype)

    with one_blas_thread():
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


def attention(backend: Backend, q: Array, k: Array, v: Array, p: AttentionQParams) -> Array:
    """``softmax(q @ k) @ v`` on codes, block by block: scores never leave the cache.

    ``q`` [heads, T, d], ``k`` [heads, d, S], ``v`` [heads, S, d]; returns [heads, T, d] codes, the
    same as the three operators one after another.
    """
    heads, tokens, _ = q.shape
    out = np.empty((heads, tokens, v.shape[2]), p.context.numpy)
    step = -(-tokens // -(-tokens // _ATTENTION_ROWS))
    score = _product_constants(p.q, p.k, p.scores)
    context = _product_constants(p.softmax, p.v, p.context)

    def task(head: int) -> None:
        # Heads are views with strides; copied here once, not in every product.
        queries, keys, values = (np.ascontiguousarray(t[head]) for t in (q, k, v))
        for start in range(0, tokens, step):
            rows = slice(start, start + step)
            s = product_codes(backend, queries[rows], keys, *score, p.scores.dtype)
            s = softmax(s, p.scores, p.softmax)
            out[head, rows] = product_codes(backend, s, values, *context, p.context.dtype)

    with one_blas_thread():  # for the float64 products of U16 codes
        parallel(heads, task)
    return out


def _product_constants(a: QParams, b: QParams, y: QParams) -> tuple[tuple[int, int, int], float]:
    multiplier = np.float32(a.scale) * np.float32(b.scale) / np.float32(y.scale)
    return (a.zero_point, b.zero_point, y.zero_point), float(multiplier)


def softmax(codes: Array, x: QParams, y: QParams) -> Array:
    """Softmax along the last axis, on codes [..., S]; see :mod:`axsim.quantization.arithmetic`.

    exp((code - largest code of the row) * scale), times 1 / (sum * output scale), rounded.
    """
    rows = codes.reshape(-1, codes.shape[-1])
    below = np.subtract(rows.max(axis=1, keepdims=True), rows)  # unsigned, never wraps
    # exp(-40) = 4e-18 is lost in any float32 sum above 1 and far below half a code; exp of much
    # less underflows, which takes a CPU many times as long.
    deepest = 40 / x.scale
    if deepest < x.high:
        np.minimum(below, below.dtype.type(int(deepest) + 1), out=below)
    e = np.multiply(below, np.float32(-x.scale), dtype=np.float32)
    np.exp(e, out=e)
    total = e @ np.ones((rows.shape[1], 1), np.float32)
    factor = np.float32(1) / (total * np.float32(y.scale))
    e *= factor
    return rounded_codes(e, y.zero_point, y.dtype).reshape(codes.shape)


def table(kernel: Callable[[Array], Array], x: QParams, y: QParams) -> Array:
    """Output code for every input code of an elementwise ``kernel`` (float32 to float32)."""
    codes = np.arange(x.high + 1, dtype=x.numpy)
    return y.quantise(kernel(x.dequantise(codes)))


def look_up(table: Array, codes: Array) -> Array:
    """``table[codes]`` for U8 or U16 codes."""
    codes = np.ascontiguousarray(codes)
    if table.itemsize == 1 and codes.itemsize == 1:
        # bytes.translate is four times as fast as numpy's indexing.
        flat = np.frombuffer(codes.tobytes().translate(table.tobytes()), table.dtype)
        return flat.reshape(codes.shape)
    out = np.empty(codes.shape, table.dtype)
    source, target = codes.reshape(-1), out.reshape(-1)
    block = 1 << 15

    def task(i: int) -> None:
        part = slice(i * block, (i + 1) * block)
        np.take(table, source[part], out=target[part], mode="clip")

    parallel(-(-source.size // block), task)
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
