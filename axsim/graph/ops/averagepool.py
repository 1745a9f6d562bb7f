"""AveragePool: the mean of each window, padding left out unless ``count_include_pad``.

Cost: one pass for each element of each window; the share of an element is a constant.
"""

from __future__ import annotations

from typing import Any

from axsim.graph.operator import Operator
from axsim.graph.pooling import padded, pool_shape, pool_windows, pool_work, taps
from axsim.kernels.array import Array
from axsim.kernels.windows import Windows


def _kernel(x: Array, *, count_include_pad: int = 0, **attrs: Any) -> tuple[Array]:
    import numpy as np

    w = pool_windows(x.shape, attrs)
    views = taps(padded(x, w, 0), w)
    y = views[0].copy(order="K")
    for view in views[1:]:
        y += view
    return (np.divide(y, _counts(x, w, count_include_pad), out=y),)


def _counts(x: Array, w: Windows, include_padding: int) -> Array:
    """How many elements each window holds: a number, or [1, 1, windows...]."""
    import numpy as np

    reach = w.reach(x.shape[2:])
    if not any(w.begin) and not any(reach):
        return np.asarray(np.prod(w.taps), x.dtype)
    inside = np.ones((1, 1, *x.shape[2:]), x.dtype)
    if include_padding:
        # What sizes rounded up add beyond the padding is no padding.
        ends = [(b, min(e, r)) for b, e, r in zip(w.begin, w.end, reach, strict=True)]
        inside = np.pad(inside, [(0, 0), (0, 0), *ends], constant_values=1)
        beyond = [(0, r - end) for r, (_, end) in zip(reach, ends, strict=True)]
        inside = np.pad(inside, [(0, 0), (0, 0), *beyond])
        return np.sum(taps(inside, w), axis=0, dtype=x.dtype)
    return np.sum(taps(padded(inside, w, 0), w), axis=0, dtype=x.dtype)


AVERAGE_POOL = Operator("AveragePool", pool_shape, pool_work, _kernel, role="vector")
