"""Gemm: ``alpha * A' @ B' + beta * C``.

Every projection is a Gemm with ``transB=1``, because checkpoints store weights as [out, in].
Cost: M*N*K multiply-accumulates. The bias starts the accumulator, so it takes no pass.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from axsim.graph.operator import Operator, Shape, Work
from axsim.graph.shapes import broadcast
from axsim.kernels.array import Array


def _shape(shapes: Sequence[Shape], attrs: Mapping[str, Any]) -> list[Shape]:
    a, b = shapes[0], shapes[1]
    m, k = (a[1], a[0]) if attrs.get("transA") else (a[0], a[1])
    k2, n = (b[1], b[0]) if attrs.get("transB") else (b[0], b[1])
    if k != k2:
        raise ValueError(f"Gemm: inner sizes of {a} and {b} differ")
    if len(shapes) > 2 and broadcast(shapes[2], (m, n)) != (m, n):
        raise ValueError(f"Gemm: C {shapes[2]} does not broadcast to {(m, n)}")
    return [(m, n)]


def _work(inputs: Sequence[Shape], outputs: Sequence[Shape], attrs: Mapping[str, Any]) -> Work:
    m, n = outputs[0]
    k = inputs[0][0 if attrs.get("transA") else 1]
    return Work(macs=m * n * k)


def _kernel(
    a: Array,
    b: Array,
    c: Array | None = None,
    *,
    alpha: float = 1.0,
    beta: float = 1.0,
    transA: int = 0,
    transB: int = 0,
) -> tuple[Array]:
    y = (a.T if transA else a) @ (b.T if transB else b)
    if alpha != 1.0:
        y *= y.dtype.type(alpha)
    if c is not None:
        y += c if beta == 1.0 else c * c.dtype.type(beta)
    return (y,)


GEMM = Operator("Gemm", _shape, _work, _kernel, role="matrix")
