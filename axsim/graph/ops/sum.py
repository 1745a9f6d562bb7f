"""Sum: the sum of any number of broadcast tensors. Cost: one pass for each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import reduce
from math import prod
from typing import Any

from axsim.graph.elementwise import shape
from axsim.graph.operator import Operator, Shape, Work
from axsim.kernels.array import Array


def _work(inputs: Sequence[Shape], outputs: Sequence[Shape], attrs: Mapping[str, Any]) -> Work:
    return Work(passes=len(inputs) * prod(outputs[0]))


def _kernel(*operands: Array) -> tuple[Array]:
    import numpy as np

    return (reduce(np.add, operands),)


SUM = Operator("Sum", shape, _work, _kernel, role="elementwise", noise="absolute")
