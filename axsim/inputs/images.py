"""Pictures from files as the vision part takes them: uint8 RGB, [1, S, S, 3] a tile.

Normalisation is part of the vision graph, as in the vendor's compiled models. Two preparations:

* one tile, as the vendor's hosts do it: the whole picture stretched to S x S, bilinear (OpenCV's
  ``resize``);
* dynamic tiling, as InternVL was trained: the grid of up to ``max_tiles`` tiles whose aspect ratio
  is nearest to the picture's, bicubic, with a thumbnail of the whole behind them.
"""

from __future__ import annotations

from pathlib import Path
from typing import IO, Any
from warnings import catch_warnings, simplefilter

import numpy as np

from axsim.errors import InputError
from axsim.kernels.array import Array
from axsim.models.config import Pixels, sides, size_text

SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")
LARGEST = 64 << 20
"""Pixels of a picture: more than cameras of phones have."""
PROGRAMS = ("EPS", "WMF")
"""Formats for which Pillow would start another program, Ghostscript, on a stranger's file."""
MAX_TILES = 12
"""``max_dynamic_patch`` of InternVL2's configurations."""


def open_picture(source: str | Path | IO[bytes], name: str = "", max_pixels: int = LARGEST) -> Any:
    """The picture of a file as a Pillow image in RGB, upright as its EXIF data say; the first of
    several, 16 bits as their upper eight. ``name`` is what errors call it, its path by default; one
    of more than ``max_pixels`` is refused before it is decoded.

    Raises:
        InputError: Pillow is not installed, or the file is no readable picture.
    """
    name = name or str(source)
    try:
        from PIL import Image, ImageOps
    except ImportError:
        raise InputError("reading pictures needs Pillow: pip install 'axsim[image]'") from None
    try:
        with catch_warnings():
            simplefilter("ignore")  # Pillow's of large pictures, whose size is looked at here
            opened: Any = Image.open(source)
        with opened:
            if opened.format in PROGRAMS:
                raise ValueError(f"{opened.format} files are drawn by another program")
            if opened.width * opened.height > max_pixels:
                what = f"{name} has {opened.width} x {opened.height} pixels"
                raise InputError(f"{what}; allowed: {max_pixels / 1e6:.1f} million")
            return ImageOps.exif_transpose(_eight_bits(opened)).convert("RGB")
    except (InputError, MemoryError):
        raise
    except Exception as error:  # Pillow's readers of broken files raise whatever they stumble over
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{name} is no readable picture: {reason}") from None


def _eight_bits(picture: Any) -> Any:
    """Grey levels of 16 bits in eight, as other pictures have them; ValueError for others that have
    no largest level."""
    from PIL import Image

    if picture.mode == "F":
        raise ValueError("its pixels are floating-point numbers without a largest level")
    if picture.mode[:1] != "I":
        return picture
    levels = np.asarray(picture)
    if levels.min() < 0 or levels.max() > 0xFFFF:
        raise ValueError("its pixels have more than 16 bits")
    return Image.fromarray((levels >> 8).astype(np.uint8))


def folder_pictures(folder: str | Path) -> list[Path]:
    """The picture files of a folder, by name; InputError when there are none."""
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"{folder} is no folder of pictures")
    found = sorted(p for p in folder.iterdir() if p.suffix.lower() in SUFFIXES)
    if not found:
        raise InputError(f"{folder} has no pictures ({', '.join(SUFFIXES)})")
    return found


def prepared(picture: Any, size: Pixels, tiling: bool = False) -> list[Array]:
    """The picture as :func:`tiles` or, without ``tiling``, as :func:`one_tile`; InputError for
    tiles that are not square."""
    if not tiling:
        return [one_tile(picture, size)]
    if not isinstance(size, int):
        raise InputError(f"--dynamic-tiling cuts square tiles; image_size is {size_text(size)}")
    return tiles(picture, size)


def one_tile(picture: Any, size: Pixels) -> Array:
    """The whole picture stretched to [1, H, W, 3] uint8."""
    return stretched(picture, *sides(size))[None]


def stretched(picture: Any, height: int, width: int) -> Array:
    """The whole picture as [height, width, 3] uint8, bilinear without antialiasing."""
    pixels = np.asarray(picture, np.uint8)
    (top, bottom, down), (left, right, across) = (
        _taps(length, side) for length, side in zip(pixels.shape[:2], (height, width), strict=True)
    )
    down, across = down[:, None, None], across[None, :, None]
    above, below = pixels[top].astype(np.int64), pixels[bottom].astype(np.int64)
    rows = above * (_UNIT - down) + below * down
    mixed = rows[:, left] * (_UNIT - across) + rows[:, right] * across
    rounded: Array = (mixed + _UNIT * _UNIT // 2) // (_UNIT * _UNIT)
    return rounded.astype(np.uint8)


def tiles(picture: Any, size: int, max_tiles: int = MAX_TILES) -> list[Array]:
    """InternVL's dynamic tiling: tiles [1, size, size, 3] uint8, row by row, and a thumbnail of the
    whole picture when there is more than one."""
    from PIL import Image

    width, height = picture.size
    columns, rows = tile_grid(width, height, size, max_tiles)
    resized = picture.resize((columns * size, rows * size), Image.Resampling.BICUBIC)
    pixels = np.asarray(resized, np.uint8).reshape(rows, size, columns, size, 3)
    found = [pixels[y, :, x][None] for y in range(rows) for x in range(columns)]
    if len(found) > 1:
        thumbnail = picture.resize((size, size), Image.Resampling.BICUBIC)
        found.append(np.asarray(thumbnail, np.uint8)[None])
    return [np.ascontiguousarray(tile) for tile in found]


def tile_grid(width: int, height: int, size: int, max_tiles: int = MAX_TILES) -> tuple[int, int]:
    """(columns, rows): at most ``max_tiles`` tiles, of the aspect ratio nearest to the picture's.

    Of equally near grids the larger one is taken when the picture has more than half its pixels.
    """
    every = range(1, max_tiles + 1)
    grids = sorted(
        ((i, j) for i in every for j in every if i * j <= max_tiles),
        key=lambda grid: (grid[0] * grid[1], grid),
    )
    aspect, best, chosen = width / height, float("inf"), (1, 1)
    for columns, rows in grids:
        difference = abs(aspect - columns / rows)
        roomy = width * height > 0.5 * size * size * columns * rows
        if difference < best or (difference == best and roomy):
            best, chosen = difference, (columns, rows)
    return chosen


_UNIT = 1 << 11  # OpenCV's fixed-point weights of 8-bit pictures


def _taps(source: int, target: int) -> tuple[Array, Array, Array]:
    """For each target pixel its two source pixels and the weight of the second one, in _UNITs."""
    position = (np.arange(target) + 0.5) * (source / target) - 0.5
    position = np.clip(position, 0, source - 1)
    first = np.floor(position).astype(np.int64)
    weight = np.rint((position - first) * _UNIT).astype(np.int64)
    return first, np.minimum(first + 1, source - 1), weight
