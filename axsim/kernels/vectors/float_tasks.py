"""Convolutions in float32 as work for a team."""

from __future__ import annotations

from typing import Any

from numba import types

from axsim.kernels.conv_numba import (
    depthwise_pixels,
    finished,
    maxima_part,
    pad_part,
    three_by_three_pixels,
)
from axsim.kernels.jit import inlined
from axsim.kernels.vectors.conv import convolve_floats
from axsim.kernels.vectors.team import Task, arguments_of, array, together
from axsim.kernels.vectors.winograd import some_tiles

_INTEGER, _INDICES = types.int64, array("int64", 1)
_OUT = array("float32", 2, written=True)
_NUMBERS, _ROWS, _IMAGE, _PANELS = (array("float32", n) for n in (1, 2, 3, 4))
_FINISH = together(_NUMBERS, _ROWS, types.boolean, *[types.float32] * 2, types.boolean)
_WINDOWS = together(
    *(_NUMBERS, _INDICES, _INDICES, _INTEGER, _INTEGER, _PANELS, _FINISH),
    *(array("float32", 3, written=True), _OUT, *[_INTEGER] * 3),
)  # fmt: skip
_SQUARES = together(
    *(_IMAGE, _PANELS, together(*[_OUT] * 3), _FINISH, _OUT, *[_INTEGER] * 6),
)  # fmt: skip
_DEPTHWISE = together(
    *(_IMAGE, _ROWS, together(*[_INTEGER] * 6), _FINISH, array("float32", 3, written=True)),
    _INTEGER,
)  # fmt: skip
_PAD = together(
    *(_IMAGE, types.boolean, array("float32", 3, written=True), _INTEGER, _INTEGER),
    *(types.float32, _INTEGER),
)  # fmt: skip
_MAXIMA = together(
    *(_IMAGE, together(*[_INTEGER] * 8), types.float32, array("float32", 3, written=True)),
    _INTEGER,
)
_windows_at, _squares_at, _depthwise_at, _pad_at, _maxima_at = (
    arguments_of(kind) for kind in (_WINDOWS, _SQUARES, _DEPTHWISE, _PAD, _MAXIMA)
)


@inlined
def _windows(part: Any, worker: Any, arguments: Any) -> None:
    image, places, pieces, run, own, panels, finish, strips, out, step, across, shares = arguments
    bias, other, adds, low, high, swish = finish
    begin, first = part // shares * step, part % shares * across
    end, columns = min(begin + step, places.size), out.shape[1] // panels.shape[0]
    count = min(first + across, columns) - first
    if begin >= end or count <= 0:
        return
    for group in range(panels.shape[0]):
        convolve_floats(
            image, places, begin, end, pieces + group * own, run, panels[group], first, count,
            bias, other, adds, low, high, swish, strips[worker], out, group * columns + first,
        )  # fmt: skip


@inlined
def _finish(sums: Any, numbers: Any, start: Any, count: Any, out: Any, first: Any) -> None:
    bias, other, adds, low, high, swish = numbers
    own = bias[start : start + count]
    finished(sums, own, other, adds, low, high, swish, out, first, start)


@inlined
def _depthwise(part: Any, arguments: Any) -> None:
    image, taps, geometry, finish, out, step = arguments
    bias, other, adds, low, high, swish = finish
    begin, end = part * step, min(part * step + step, out.shape[0])
    if geometry[0] == 3 and geometry[1] == 3:
        three_by_three_pixels(image, taps, geometry, begin, end, out)
    else:
        depthwise_pixels(image, taps, geometry, begin, end, out)
    width, channels = out.shape[1:]
    rows = out.reshape(out.shape[0] * width, channels)
    own = rows[begin * width : end * width]
    finished(own, bias, other, adds, low, high, swish, rows, begin * width, 0)


def _windows_entry(part: Any, worker: Any, at: Any) -> None:
    _windows(part, worker, _windows_at(at))


def _squares_entry(part: Any, worker: Any, at: Any) -> None:
    some_tiles(part, worker, _squares_at(at), _finish)


def _depthwise_entry(part: Any, worker: Any, at: Any) -> None:
    _depthwise(part, _depthwise_at(at))


def _pad_entry(part: Any, worker: Any, at: Any) -> None:
    pad_part(part, _pad_at(at))


def _maxima_entry(part: Any, worker: Any, at: Any) -> None:
    maxima_part(part, _maxima_at(at))


windows = Task(_windows_entry, _WINDOWS)
"""(image, places, pieces, run, channels of a group, panels [groups, ...], what a Finish has, strips
[workers, rows, columns], out [M, N], rows of a part, columns of a part, parts that share rows): see
:func:`axsim.kernels.vectors.conv.convolve_floats`."""
squares = Task(_squares_entry, _SQUARES)
"""(padded image [H, W, C], panels, :func:`axsim.kernels.vectors.winograd.memory_of`, what a Finish
has, out [positions, M], lines of squares, those of a part, those done at once, columns of a part,
parts that share lines, width of a line of results)."""
depthwise = Task(_depthwise_entry, _DEPTHWISE)
"""(padded image [H, W, C], taps [taps, C], taps, strides and dilations for y and x, what a Finish
has, out [height, width, C], lines of a part)."""
pad = Task(_pad_entry, _PAD)
"""(image [H, W, C] or, as the next says, planes [C, H, W]; out [h, w, c], its line and pixel where
the image begins, what is elsewhere, lines of a part)."""
maxima = Task(_maxima_entry, _MAXIMA)
"""(image [H, W, C], taps, strides, dilations and padding at the begin, each for y and x, what is
less than all numbers, out [height, width, C], lines of a part)."""
