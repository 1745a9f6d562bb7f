"""A prompt as the decoder takes it: rows, their positions, and what images add further in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from axsim.errors import InputError
from axsim.kernels.array import Array
from axsim.models.config import DecoderConfig, ModelConfig, Pixels


@dataclass(frozen=True)
class Prompt:
    """``rows`` [tokens, hidden]; ``positions`` u32 [axes, tokens], one axis, or time, row and
    column; ``deep``: rows [tokens, hidden] to add to what the first layers give; ``last`` [tokens]:
    the last of them that each may look at, where that is not itself. ``start``: how many tokens
    are before it, in earlier turns; the methods count from the first of those. ``crossed``: keys
    and values [1, T, hidden] of what each layer attends to besides, one after the other."""

    rows: Array
    positions: Array
    deep: tuple[Array, ...] = ()
    last: Array | None = None
    start: int = 0
    crossed: tuple[Array, ...] = ()

    def after(self, earlier: Prompt, start: int) -> Prompt:
        """The same prompt as the next turn after an earlier one, ``start`` tokens in all: its
        positions count on."""
        positions = self.positions + earlier.indices(start, 1)
        crossed = self.crossed or earlier.crossed
        return replace(self, positions=positions, start=start, crossed=crossed)

    def of_layer(self, layer: int) -> dict[str, Array]:
        """The inputs of a decoder layer that it attends to besides, by name; often none."""
        if not self.crossed:
            return {}
        return {"cross_K": self.crossed[2 * layer], "cross_V": self.crossed[2 * layer + 1]}

    def opened(self, mask: Array, start: int, real: int) -> Array:
        """A prefill mask [1, new, cached + new] of the ``real`` tokens from ``start`` on, with what
        they may look at behind themselves.

        Raises InputError when that is not in the same chunk.
        """
        if self.last is None:
            return mask
        new, keys = mask.shape[1:]
        last = self.start + self.last[start - self.start :][:real]
        if real and last.max() >= start + real:
            raise InputError(
                "rows of this model's prompt look ahead, so that what they see must be in one"
                f" prefill call: set build.prefill_chunk to {len(self.rows)} or more"
            )
        position = start + np.arange(new)
        opened: Array = mask.copy()
        opened[0, :real, keys - new :][position <= last[:, None]] = 0
        return opened

    def indices(self, start: int, new: int) -> Array:
        """Positions u32 [axes, new] of the tokens from ``start`` on; those that follow the prompt
        count on from its largest."""
        axes, length = self.positions.shape
        start -= self.start
        after = int(self.positions.max()) + 1 + np.arange(max(start + new - length, 0))
        later = np.broadcast_to(after.astype(np.uint32), (axes, after.size))
        return np.concatenate([self.positions, later], axis=1)[:, start : start + new]


def prompt_of(
    model: ModelConfig,
    rows: Array,
    image_rows: Array,
    images: Sequence[Array] | Array,
    image_size: Pixels,
    before: Array | None = None,
) -> Prompt:
    """The prompt of embedded ``rows`` [tokens, hidden], of which ``image_rows`` (bool [tokens])
    stand for ``images``: what the vision part makes of each, [1 + deepstack layers, tokens,
    hidden]. All images have the same size. ``before``: which tokens of those in front of it stand
    for images; from them follow its positions."""
    cfg = model.decoder
    assert cfg is not None
    grid = (0, 0)
    if model.vision is not None and model.projector is not None:
        high, wide = model.vision.grid(image_size)
        grid = high // model.projector.block, wide // model.projector.block
    start = 0 if before is None else len(before)
    all_rows = image_rows if before is None else np.concatenate([before, image_rows])
    positions = positions_of(cfg, all_rows, grid)[:, start:]
    if not len(images):
        return Prompt(rows, positions, start=start)
    ahead = model.projector.sees_ahead if model.projector else "nothing"
    last = None if ahead == "nothing" else _last(image_rows, len(images), ahead == "prompt")
    seen = np.stack(list(images), axis=1)  # [1 + deepstack layers, images, tokens, hidden]
    if model.projector is not None and model.projector.cross_layers:
        return Prompt(rows, positions, start=start, crossed=tuple(seen[1:, -1:]))
    rows[image_rows] = seen[0].reshape(-1, rows.shape[1])
    deep = []
    for layer in seen[1:]:
        added = np.zeros_like(rows)
        added[image_rows] = layer.reshape(-1, rows.shape[1])
        deep.append(added)
    return Prompt(rows, positions, tuple(deep), last, start)


def _last(image_rows: Array, images: int, whole: bool) -> Array:
    """The last token that each may look at: the end of its image, or of the whole prompt."""
    count = len(image_rows)
    if whole:
        return np.full(count, count - 1)
    last = np.arange(count)
    for rows in np.split(np.flatnonzero(image_rows), images):
        last[rows] = rows[-1]
    return last


def positions_of(cfg: DecoderConfig, image_rows: Array, grid: tuple[int, int]) -> Array:
    """u32 [axes, tokens]. With three axes an image stands still in time while row and column count
    up, and what follows begins behind the largest of them (Qwen2-VL, arXiv 2409.12191)."""
    count = len(image_rows)
    if not cfg.mrope_section or not image_rows.any():
        line = np.arange(count, dtype=np.uint32)
        return np.broadcast_to(line, (cfg.position_axes, count))
    row, column = (axis.reshape(-1) for axis in np.mgrid[: grid[0], : grid[1]])
    of_image = np.stack([np.zeros_like(row), row, column])
    out = np.zeros((3, count), np.int64)
    at = following = 0
    while at < count:
        if image_rows[at]:
            out[:, at : at + row.size] = following + of_image
            at, following = at + row.size, following + max(grid)
        else:
            out[:, at] = following
            at, following = at + 1, following + 1
    return out.astype(np.uint32)
