"""MatMul: the product of two activations, over broadcast leading dimensions.

Cost: one multiply-accumulate per output element and inner index.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import Any

from axsim.graph.operator import Operator, Shape, Work
from axsim.graph.shapes import broadcast
from axsim.kernels.array import Array


def _shape(shapes: Sequence[Shape], attrs: Mapping[str, Any]) -> list[Shape]:
    a, b = shapes
    rows = a[-2:-1]
    columns = b[-1:] if len(b) > 1 else ()
    if a[-1] != (b[-2] if len(b) > 1 else b[0]):
        raise ValueError(f"MatMul: inner sizes of {a} and {b} differ")
    return [broadcast(a[:-2], b[:-2]) + rows + columns]


def _work(inputs: Sequence[Shape], outputs: Sequence[Shape], attrs: Mapping[str, Any]) -> Work:
    return Work(macs=prod(outputs[0]) * inputs[0][-1])


def _kernel(a: Array, b: Array) -> tuple[Array]:
    from axsim.kernels.dense import matmul

    return (matmul(a, b),)


MATMUL = Operator("MatMul", _shape, _work, _kernel, role="matrix")
