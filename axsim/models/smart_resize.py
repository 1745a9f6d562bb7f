"""The size that models which take pictures of any size resize one to."""

from __future__ import annotations

from math import ceil, floor, sqrt

MIN_PIXELS, MAX_PIXELS = 56 * 56, 14 * 14 * 4 * 1280
"""Of Qwen2-VL's image processor in transformers, where preprocessor_config.json has no others."""
MOST_ELONGATED = 200
"""The largest ratio of the sides that it takes."""


def smart_resize(
    height: int,
    width: int,
    factor: int,
    min_pixels: int = MIN_PIXELS,
    max_pixels: int = MAX_PIXELS,
) -> tuple[int, int]:
    """Height and width that are multiples of ``factor``, as near to the picture's as the bounds
    allow (``smart_resize`` of Qwen2-VL, arXiv 2409.12191).

    Raises ValueError when one side is more than 200 times the other.
    """
    longer, shorter = max(height, width), min(height, width)
    if longer > MOST_ELONGATED * shorter:
        raise ValueError(f"one side is {longer / shorter:.0f} times the other")
    high, wide = round(height / factor) * factor, round(width / factor) * factor
    if high * wide > max_pixels:
        shrink = sqrt(height * width / max_pixels)
        high = max(factor, floor(height / shrink / factor) * factor)
        wide = max(factor, floor(width / shrink / factor) * factor)
    elif high * wide < min_pixels:
        grow = sqrt(min_pixels / (height * width))
        high, wide = (ceil(side * grow / factor) * factor for side in (height, width))
    return high, wide
