"""How loops are compiled: numba's decorators, with types, and what its loops can't say themselves.

Compiled code is kept on disk between processes, as long as the loop's own file is the same: who
changes one that loops of other files call deletes ``*.nbi`` in their ``__pycache__``. No loop holds
the interpreter's lock. Types inside loops are numba's to infer; scalars must be of the width that
is meant, since it widens sums.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numpy as np
from numba import njit, types
from numba.extending import intrinsic

Loop = TypeVar("Loop", bound=Callable[..., Any])


def compiled(function: Loop) -> Loop:
    """Every operation as written: the same bits as numpy's."""
    return _kept(function)


def contracted(function: Loop) -> Loop:
    """Products and sums may become fused multiply-adds."""
    return _kept(function, fastmath={"contract"})


def reordered(function: Loop) -> Loop:
    """Sums may take any order, so that they become vector instructions."""
    return _kept(function, fastmath={"reassoc", "contract", "nsz"})


def _kept(function: Loop, **options: Any) -> Loop:
    return cast(Loop, kept(function, njit, nogil=True, error_model="numpy", **options))


def kept(function: Loop, decorator: Callable[..., Any], *signature: Any, **options: Any) -> Any:
    """Compiled by one of numba's decorators, and kept on disk where numba finds a folder that it
    can write to: beside the package, in the user's cache or NUMBA_CACHE_DIR."""
    try:
        return decorator(*signature, cache=True, **options)(function)
    except RuntimeError:  # no such folder: compiled again in each process
        return decorator(*signature, **options)(function)


def inlined(function: Loop) -> Loop:
    """Becomes part of the loops that call it, and follows their rules."""
    return cast(Loop, njit(nogil=True, error_model="numpy", inline="always")(function))


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


@inlined
def rounded_bf16(value: Any) -> Any:
    """:func:`axsim.kernels.arithmetic.round_bf16` of one number."""
    bits = np.float32(value).view(np.uint32)
    odd = (bits >> np.uint32(16)) & np.uint32(1)
    up = np.uint32(bits + odd + np.uint32(0x7FFF)) & np.uint32(0xFFFF0000)
    return np.uint32(up).view(np.float32)
