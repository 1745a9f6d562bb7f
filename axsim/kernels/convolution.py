"""Convolutions in float32: matrix products of patches, and depthwise ones as sums of shifted rows.

Patches [K, positions] are written for a few rows of the output at a time, so that they stay in the
core's cache until BLAS has multiplied them. Weights are taken as they are stored.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np

from axsim.kernels.array import Array
from axsim.kernels.dense import Stage, apply
from axsim.kernels.parallel import parallel, threads
from axsim.kernels.scratch import Scratch
from axsim.kernels.twin import compiled, twin
from axsim.kernels.windows import Windows

_PATCHES = 1 << 17
"""Elements of a block of patches: 512 KB of float32, half of a core's L2 cache."""
_WIDTH = 512
"""Columns of a product at least: BLAS packs the weights anew for each."""
_FEW = 64
"""Positions for which the weights' rows are shared between threads in place of the positions."""
_ROWS = 256
"""Rows of such a share, whatever the number of threads: BLAS may sum in another order in others."""

_scratch = Scratch()


def conv(x: Array, w: Array, at: Windows, group: int = 1, stages: Sequence[Stage] = ()) -> Array:
    """[N, C, ...] convolved with [M, C / group, taps...] to [N, M, windows...].

    ``stages`` change blocks of each image's result, seen as [M, positions].
    """
    if len(at.size) == 1:
        y = conv(x[:, :, None], w[:, :, None], _plane(at), group, stages)
        return y[:, :, 0]
    x = np.ascontiguousarray(x)
    out = np.empty((x.shape[0], w.shape[0], *at.size), np.result_type(x, w))
    for image, y in zip(x, out, strict=True):
        image = _padded(image, at)
        result = y.reshape(w.shape[0], -1)
        if len(at.size) == 2 and w.shape[1] == 1 and group > 1 and _loops(x) is not None:
            _depthwise(image, w, at, stages, y)
        else:
            rows = w.shape[0] // group
            channels = w.shape[1]
            for g in range(group):
                part = image[g * channels : (g + 1) * channels]
                _product(part, w[g * rows : (g + 1) * rows], at, stages, result, g * rows)
    return out


def finishing(
    bias: Array | None,
    other: Array | None = None,
    low: float | None = None,
    high: float | None = None,
) -> Stage:
    """Adds ``bias`` [M] and ``other`` [M, positions], and limits to [low, high], in one pass."""
    floor, ceiling = -np.inf if low is None else low, np.inf if high is None else high

    def stage(y: Array, rows: slice, columns: slice) -> None:
        shift = np.zeros(len(y), y.dtype) if bias is None else bias
        finish(y, rows, columns, shift, other, floor, ceiling)

    return stage


def _compiles(y: Array, rows: slice, columns: slice, bias: Array, other: Array | None, *_: float):  # type: ignore[no-untyped-def]
    arrays = [y, bias] if other is None else [y, bias, other]
    return all(a.dtype == np.float32 and a.flags.c_contiguous for a in arrays)


@twin("axsim.kernels.conv_numba", _compiles)
def finish(
    y: Array, rows: slice, columns: slice, bias: Array, other: Array | None, low: float, high: float
) -> None:
    """``y[rows, columns]`` plus ``bias`` [M] and ``other`` [M, positions], within [low, high]."""
    part = y[rows, columns]
    part += bias[rows, None]
    if other is not None:
        part += other[rows, columns]
    if low > -np.inf or high < np.inf:
        np.clip(part, part.dtype.type(low), part.dtype.type(high), out=part)


def _plane(at: Windows) -> Windows:
    """Windows over one dimension as those over a plane of height 1."""
    return type(at)(
        (1, *at.taps), (1, *at.strides), (1, *at.dilations), (0, *at.begin), (0, *at.end),
        (1, *at.size),
    )  # fmt: skip


def _loops(x: Array):  # type: ignore[no-untyped-def]
    return compiled("axsim.kernels.conv_numba") if x.dtype == np.float32 else None


def _product(
    image: Array, w: Array, at: Windows, stages: Sequence[Stage], result: Array, top: int
) -> None:
    """One group: ``image`` [C, ...] with ``w`` [rows, C, taps...] into rows of ``result``."""
    rows = slice(top, top + w.shape[0])
    matrix = w.reshape(w.shape[0], -1)
    line = at.size[-1]
    inner, lines = matrix.shape[1], prod(at.size[:-1])
    is_plain = prod(at.taps) == 1 and all(s == 1 for s in at.strides) and not any(at.begin)
    if lines * line <= _FEW or (is_plain and lines * line <= 4 * _FEW):
        columns = _patches(image, at, slice(0, lines), is_plain)

        def some_rows(i: int) -> None:
            part = slice(i * _ROWS, min((i + 1) * _ROWS, w.shape[0]))
            block = slice(top + part.start, top + part.stop)
            np.matmul(matrix[part], columns, out=result[block])
            apply(stages, result, block, slice(0, lines * line))

        parallel(-(-w.shape[0] // _ROWS), some_rows)
        return
    step = max(-(-_WIDTH // line), _PATCHES // (inner * line), 1)

    def some_lines(i: int) -> None:
        part = slice(i * step, min((i + 1) * step, lines))
        block = slice(part.start * line, part.stop * line)
        np.matmul(matrix, _patches(image, at, part, is_plain), out=result[rows, block])
        apply(stages, result, rows, block)

    parallel(-(-lines // step), some_lines)


def _patches(image: Array, at: Windows, lines: slice, is_plain: bool) -> Array:
    """[C * taps, positions] for some lines of the output, to be used up before the next."""
    line = at.size[-1]
    block = slice(lines.start * line, lines.stop * line)
    if is_plain and image[0].size == prod(at.size):
        return image.reshape(image.shape[0], -1)[:, block]
    shape = (image.shape[0] * prod(at.taps), (lines.stop - lines.start) * line)
    columns = _scratch.array("patches", shape, image.dtype)
    loops = _loops(image)
    if loops is not None and len(at.size) == 2:
        loops.patches(image, *_numbers(at), lines.start, columns)
        return columns
    spatial = image.strides[1:]
    windows = np.lib.stride_tricks.as_strided(
        image,
        (image.shape[0], *at.taps, *at.size),
        (
            image.strides[0],
            *(s * d for s, d in zip(spatial, at.dilations, strict=True)),
            *(s * step for s, step in zip(spatial, at.strides, strict=True)),
        ),
        writeable=False,
    )
    if len(at.size) == 2:
        columns.reshape(*windows.shape[:3], -1, line)[...] = windows[:, :, :, lines]
    else:
        columns[...] = windows.reshape(shape[0], -1)[:, block]
    return columns


def _numbers(at: Windows) -> tuple[int, ...]:
    """Taps, strides, dilations and width of windows over a plane, for compiled loops."""
    return (*at.taps, *at.strides, *at.dilations, at.size[1])


def _padded(image: Array, at: Windows) -> Array:
    """``image`` with zeros wherever windows reach beyond it."""
    reach = at.reach(image.shape[1:])
    if not any(at.begin) and not any(reach):
        return image
    size = zip(at.begin, image.shape[1:], reach, strict=True)
    out = np.zeros((len(image), *map(sum, size)), image.dtype)
    inside = (slice(b, b + n) for b, n in zip(at.begin, image.shape[1:], strict=True))
    index: tuple[slice, ...] = (slice(None), *inside)
    out[index] = image
    return out


def _depthwise(image: Array, w: Array, at: Windows, stages: Sequence[Stage], y: Array) -> None:
    """One input channel for each output channel; ``w`` [M, 1, taps...]."""
    loops = _loops(image)
    channels, share = w.shape[0], w.shape[0] // image.shape[0]
    taps = w.reshape(channels, -1)
    result = y.reshape(channels, -1)
    step = max(1, min(-(-channels // threads()), (1 << 15) // max(y[0].size, 1)))

    def some(i: int) -> None:
        part = slice(i * step, min((i + 1) * step, channels))
        loops.depthwise(image, taps, share, *_numbers(at), part.start, part.stop, y)
        apply(stages, result, part, slice(0, y[0].size))

    parallel(-(-channels // step), some)
