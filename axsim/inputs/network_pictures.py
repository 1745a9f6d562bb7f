"""Pictures as inputs of networks: resized, channels in order, mean and deviation taken."""

from __future__ import annotations

from typing import Any

import numpy as np

from axsim.errors import InputError
from axsim.inputs.images import stretched
from axsim.kernels.array import Array
from axsim.spec.preprocess import Preprocess

GREY = 114
"""Of the bars around a letterboxed picture, as YOLO networks are trained."""

_CHANNELS = {1: "GRAY", 3: "RGB"}


def is_picture(shape: tuple[int, ...]) -> bool:
    """Whether an input of ``shape`` takes pictures: four dimensions, one or three channels."""
    return len(shape) == 4 and bool({shape[1], shape[3]} & _CHANNELS.keys())


def picture_input(picture: Any, shape: tuple[int, ...], how: Preprocess, name: str) -> Array:
    """A Pillow image in RGB as float32 of ``shape``, N times the same.

    Raises:
        InputError: the input ``name`` cannot take it so.
    """
    sides = shape[1:]
    last = how.layout == "NHWC" if how.layout else sides[0] not in _CHANNELS
    height, width, channels = sides if last else (*sides[1:], sides[0])
    form = how.format or _CHANNELS.get(channels, "RGB")
    if form == "BGR" and channels == 1:
        form = "GRAY"
    if channels != (1 if form == "GRAY" else 3):
        shown = "x".join(map(str, shape))
        raise InputError(f"input {name} ({shown}) has {channels} channels: no {form} picture fits")
    fit = letterboxed if how.resize == "letterbox" else stretched
    pixels: Array = fit(picture, height, width).astype(np.float32)
    if form == "GRAY":
        pixels = pixels @ np.array([[0.299], [0.587], [0.114]], np.float32)  # BT.601, as OpenCV
    elif form == "BGR":
        pixels = pixels[..., ::-1]
    mean, std = (_channels(each, channels, name) for each in (how.mean or (0.0,), how.std))
    pixels = (pixels - mean) / std
    image = pixels if last else pixels.transpose(2, 0, 1)
    return np.ascontiguousarray(np.broadcast_to(image, shape), np.float32)


def letterboxed(picture: Any, height: int, width: int) -> Array:
    """The whole picture [height, width, 3] uint8 with its aspect kept, grey bars on two sides."""
    scale = min(height / picture.height, width / picture.width)
    rows, columns = round(picture.height * scale), round(picture.width * scale)
    out = np.full((height, width, 3), GREY, np.uint8)
    top, left = (height - rows) // 2, (width - columns) // 2
    out[top : top + rows, left : left + columns] = stretched(picture, rows, columns)
    return out


def _channels(numbers: tuple[float, ...], channels: int, name: str) -> Array:
    if len(numbers) not in (1, channels):
        found = f"{len(numbers)} numbers for mean or std"
        raise InputError(f"input {name} has {channels} channels, and {found}")
    return np.array(numbers, np.float32)
