"""The form in which a file takes a picture, and the one that its graph has.

Towers take bytes [1, H, W, 3] and normalise them; networks take what their ONNX file does, usually
normalised float32 [1, 3, H, W]. A file may be built for either form: scripts in Python usually feed
float32, the vendor's C++ runtime feeds bytes.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from pydantic import PositiveFloat

from axsim.graph.ir import Tensor
from axsim.kernels.array import Array
from axsim.spec.descriptor import Section

PictureType = Literal["float32", "uint8"]

_NEAR = 0.01
"""Pixels so near to whole numbers were bytes before they were normalised."""


class PictureInput(Section):
    """An input that is a picture: ``tensor`` of the graph, ``name`` and ``dtype`` outside.

    ``mean`` and ``std`` of each channel, of pixels from 0 to 255. Bytes are [1, H, W, C], float32
    is [1, C, H, W].
    """

    tensor: str
    name: str
    dtype: PictureType
    mean: tuple[float, ...]
    std: tuple[PositiveFloat, ...]

    def shape(self, inner: Tensor) -> tuple[int, ...]:
        """The shape outside, given the graph's tensor."""
        if _is_bytes(inner) == (self.dtype == "uint8"):
            return inner.shape
        n, a, b, c = inner.shape
        return (n, c, a, b) if _is_bytes(inner) else (n, b, c, a)

    def taken(self, array: Array, inner: Tensor) -> Array:
        """The picture in the graph's form."""
        if _is_bytes(inner) == (self.dtype == "uint8"):
            return array
        mean, std = np.array(self.mean, np.float32), np.array(self.std, np.float32)
        if not _is_bytes(inner):
            normalised = (array.astype(np.float32) - mean) / std
            return np.ascontiguousarray(normalised.transpose(0, 3, 1, 2))
        pixels: Array = array.transpose(0, 2, 3, 1) * std + mean
        whole: Array = np.rint(pixels)
        if np.abs(pixels - whole).max(initial=0) < _NEAR and 0 <= whole.min() <= whole.max() < 256:
            return whole.astype(np.uint8)
        return np.ascontiguousarray(pixels, np.float32)


def _is_bytes(tensor: Tensor) -> bool:
    return tensor.dtype == "u8"
