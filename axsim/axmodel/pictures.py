"""The form in which a file takes a picture, and the one that its graph has.

Towers take bytes [1, H, W, 3] and normalise them; networks take what their ONNX file does, usually
normalised float32 [1, 3, H, W]. A file tells one of the forms and takes both: scripts in Python
usually feed float32, the vendor's C++ runtime feeds bytes.
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
    """An input that is a picture: ``tensor`` of the graph and the form ``inside``; outside its
    ``name``, and the form ``dtype`` that is told. Both forms are taken.

    ``mean`` and ``std`` of each channel, of pixels from 0 to 255. Bytes are [1, H, W, C], float32
    is [1, C, H, W].
    """

    tensor: str
    inside: PictureType
    name: str
    dtype: PictureType
    mean: tuple[float, ...]
    std: tuple[PositiveFloat, ...]

    def forms(self, inner: Tensor) -> dict[PictureType, tuple[int, ...]]:
        """The shape of each form, given the graph's tensor."""
        n, a, b, c = inner.shape
        if self.inside == "uint8":
            return {"uint8": inner.shape, "float32": (n, c, a, b)}
        return {"uint8": (n, b, c, a), "float32": inner.shape}

    def taken(self, array: Array) -> Array:
        """The picture in the graph's form."""
        if (array.dtype == np.uint8) == (self.inside == "uint8"):
            return array
        mean, std = np.array(self.mean, np.float32), np.array(self.std, np.float32)
        if self.inside == "float32":
            normalised = (array.astype(np.float32) - mean) / std
            return np.ascontiguousarray(normalised.transpose(0, 3, 1, 2))
        pixels: Array = array.transpose(0, 2, 3, 1) * std + mean
        whole: Array = np.rint(pixels)
        if np.abs(pixels - whole).max(initial=0) < _NEAR and 0 <= whole.min() <= whole.max() < 256:
            return whole.astype(np.uint8)
        return np.ascontiguousarray(pixels, np.float32)
