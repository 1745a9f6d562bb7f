"""Windows of a tower's patches, of which those at the right and lower edge may be smaller.

Tokens stand region by region: windows of one size, one after the other. Attention does not care
about the order.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from axsim.graph.builder import GraphBuilder
from axsim.models.config import VisionConfig

if TYPE_CHECKING:
    from axsim.kernels.array import Array

Grid = tuple[int, int]


class Region(NamedTuple):
    """Patches from ``top`` to ``bottom`` and from ``left`` to ``right``, in windows of ``high`` x
    ``wide``."""

    top: int
    bottom: int
    left: int
    right: int
    high: int
    wide: int

    @property
    def windows(self) -> int:
        """How many."""
        return (self.bottom - self.top) // self.high * ((self.right - self.left) // self.wide)

    @property
    def tokens(self) -> int:
        """Patches of all windows."""
        return (self.bottom - self.top) * (self.right - self.left)


def regions(vision: VisionConfig, grid: Grid) -> list[Region]:
    """One where all windows are whole; else up to four."""
    side = vision.window_size // vision.patch_size
    rows, columns = (_cuts(length, side) for length in grid)
    return [
        Region(top, bottom, left, right, min(side, bottom - top), min(side, right - left))
        for top, bottom in pairwise(rows)
        for left, right in pairwise(columns)
    ]


def _cuts(length: int, side: int) -> list[int]:
    return sorted({0, length // side * side, length})


def order(vision: VisionConfig, grid: Grid) -> Array:
    """The place of each token in the picture, counted row by row."""
    import numpy as np

    places = np.arange(grid[0] * grid[1]).reshape(grid)
    found = []
    for region in regions(vision, grid):
        own = places[region.top : region.bottom, region.left : region.right]
        shape = _blocks(region)
        found.append(own.reshape(shape).transpose(0, 2, 1, 3).reshape(-1))
    return np.concatenate(found)


def _blocks(region: Region) -> tuple[int, int, int, int]:
    across = (region.right - region.left) // region.wide
    return (region.bottom - region.top) // region.high, region.high, across, region.wide


def by_windows(b: GraphBuilder, vision: VisionConfig, grid: Grid, x: str) -> str:
    """Tokens [T, hidden] in the order of the picture to that of the windows."""
    hidden, every = vision.hidden_size, regions(vision, grid)
    if len(every) > 1:
        x = b.node("Reshape", [x], name="windows.picture", shape=(*grid, hidden))
    found = []
    for number, region in enumerate(every):
        name, own = _named("windows", number, every), x
        if len(every) > 1:
            own = b.node(
                "Slice", [x], name=f"{name}.cut", starts=[region.top, region.left],
                ends=[region.bottom, region.right], axes=[0, 1],
            )  # fmt: skip
        own = b.node("Reshape", [own], name=f"{name}.grid", shape=(*_blocks(region), hidden))
        own = b.node("Transpose", [own], name=f"{name}.order", perm=(0, 2, 1, 3, 4))
        shape = (region.tokens, hidden)
        found.append(b.node("Reshape", [own], name=f"{name}.rows", shape=shape))
    return found[0] if len(found) == 1 else b.node("Concat", found, name="windows.all", axis=0)


def raster(b: GraphBuilder, vision: VisionConfig, grid: Grid, x: str, name: str) -> str:
    """Tokens in the order of the picture, row by row."""
    if not vision.window_size:
        return x
    hidden, every = vision.hidden_size, regions(vision, grid)
    bands: dict[int, list[str]] = {}
    for number, (region, own) in enumerate(zip(every, split(b, x, every, name), strict=True)):
        label = _named(name, number, every)
        high, side, wide, across = _blocks(region)
        windows = (high, wide, side, across, hidden)
        own = b.node("Reshape", [own], name=f"{label}.windows", shape=windows)
        own = b.node("Transpose", [own], name=f"{label}.order", perm=(0, 2, 1, 3, 4))
        shape = (region.bottom - region.top, region.right - region.left, hidden)
        if len(every) > 1:
            own = b.node("Reshape", [own], name=f"{label}.picture", shape=shape)
        bands.setdefault(region.top, []).append(own)
    rows = [
        parts[0] if len(parts) == 1 else b.node("Concat", parts, name=f"{name}.band{top}", axis=1)
        for top, parts in bands.items()
    ]
    x = rows[0] if len(rows) == 1 else b.node("Concat", rows, name=f"{name}.bands", axis=0)
    return b.node("Reshape", [x], name=f"{name}.rows", shape=(grid[0] * grid[1], hidden))


def split(b: GraphBuilder, x: str, every: list[Region], name: str) -> list[str]:
    """The tokens [T, hidden] of each region, or those of [1, T, hidden]."""
    if len(every) == 1:
        return [x]
    parts = [f"{name}.region{number}" for number in range(len(every))]
    sizes = [region.tokens for region in every]
    axis = len(b.shape(x)) - 2
    return b.nodes("Split", [x], name=f"{name}.regions", outputs=parts, axis=axis, split=sizes)


def _named(name: str, number: int, every: list[Region]) -> str:
    return name if len(every) == 1 else f"{name}.{number}"
