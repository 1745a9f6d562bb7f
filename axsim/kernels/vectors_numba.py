"""What numba's loops can't say of themselves."""

from __future__ import annotations

from typing import Any

from numba import types
from numba.extending import intrinsic


def _wide_vectors(typing: Any) -> Any:
    def code(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        # llvmlite knows only attributes without values.
        set.add(builder.function.attributes, '"prefer-vector-width"="512"')
        return context.get_dummy_value()

    return types.void(), code


wide_vectors: Any = intrinsic(_wide_vectors)
"""``wide_vectors()`` in a compiled function: vectors of 512 bits where the CPU has them.

LLVM prefers 256 bits on Intel's CPUs, for the sake of the clock around short loops; loops over
whole tensors are up to twice as fast with 512.
"""
