"""Seeded inputs: pixels and token ids for runs without a picture and a tokenizer."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256

import numpy as np

from axsim.kernels.array import Array
from axsim.models.config import Pixels, sides
from axsim.spec.workload import Workload

TEXT_BEFORE_IMAGE = 42 / 54
"""Share of the text that stands before the image: in the vendor's default request 42 of the 54
tokens around it, chat template and ``<img>``."""

_DETAIL = ((4, 128), (16, 64), (56, 32), (0, 32))
"""Patches along a side and grey levels of each layer of a seeded picture; 0 is every pixel."""


def seeded_input(workload: Workload, name: str) -> Array:
    """What a workload's vision part takes, [1, H, W, channels] u8: a :func:`seeded_image`, or
    features of sound like it."""
    vision = workload.model.config().vision
    assert vision is not None
    canvas, seed = vision.canvas(workload.image_size), workload.request.seed
    return seeded_image(canvas, seed, name, vision.num_channels)


def seeded_image(size: Pixels, seed: int, name: str, channels: int = 3) -> Array:
    """A picture [1, H, W, channels] u8 with coarse and fine detail; ``name`` tells pictures of the
    same seed apart. The same on every machine."""
    height, width = sides(size)
    out = np.zeros((height, width, channels), np.int64)
    for patches, levels in _DETAIL:
        rows, columns = patches or height, patches or width
        bits = _stream(seed, f"{name} {rows}").random_raw(rows * columns * channels)
        layer = (bits >> np.uint64(32)).astype(np.int64) % levels
        row, column = np.arange(height) * rows // height, np.arange(width) * columns // width
        out += layer.reshape(rows, columns, channels)[row[:, None], column]
    return out.astype(np.uint8)[None]


def seeded_tokens(
    count: int, vocabulary: int, seed: int, avoid: Sequence[int] = (), name: str = "prompt"
) -> list[int]:
    """``count`` token ids of the prompt called ``name``, none of those in ``avoid``."""
    allowed = np.setdiff1d(np.arange(vocabulary), np.asarray(avoid, np.int64))
    bits = _stream(seed, name).random_raw(count)
    return [int(allowed[i]) for i in (bits >> np.uint64(11)) % np.uint64(len(allowed))]


def image_span(workload: Workload) -> slice:
    """Where the images' tokens stand in the prompt."""
    count = workload.images * workload.image_tokens
    start = round(workload.text_tokens * TEXT_BEFORE_IMAGE)
    return slice(start, start + count)


def _stream(seed: int, name: str) -> np.random.SFC64:
    words = np.frombuffer(sha256(name.encode()).digest()[:16], "<u4").tolist()
    return np.random.SFC64(np.random.SeedSequence([seed, *words]))
