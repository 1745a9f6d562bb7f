"""The largest number of each window over images whose channels lie together, on several threads."""

from __future__ import annotations

import numpy as np

from axsim.kernels.array import Array
from axsim.kernels.parallel import threads
from axsim.kernels.pixels import supported
from axsim.kernels.twin import compiled
from axsim.kernels.windows import Windows

_MANY = 1 << 17
"""Numbers of an image from which it pays to ask for compiled loops."""


def largest(x: Array, at: Windows) -> Array | None:
    """[N, C, windows...] of float32 numbers or U8 codes [N, C, H, W], which are not padded; None
    where numpy has to do it. A number that is none is the largest."""
    narrow = x.dtype == np.uint8
    if x.ndim != 4 or x.size < _MANY or not (narrow or x.dtype == np.float32):
        return None
    images = x.transpose(0, 2, 3, 1)
    if not (images.flags.c_contiguous and supported()):
        return None
    tasks = compiled(f"axsim.kernels.vectors.{'code' if narrow else 'float'}_tasks")
    assert tasks is not None
    lowest = x.dtype.type(0 if narrow else -np.inf)
    out = np.empty((len(x), *at.size, x.shape[1]), x.dtype)
    geometry, workers = (*at.taps, *at.strides, *at.dilations, *at.begin), threads()
    step = -(-at.size[0] // (2 * workers))
    for image, result in zip(images, out, strict=True):
        arguments = image, geometry, lowest, result, step
        tasks.maxima(-(-at.size[0] // step), arguments, workers)
    moved: Array = out.transpose(0, 3, 1, 2)
    return moved
