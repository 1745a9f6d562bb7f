"""Convolutions of codes as work for a team."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import types

from axsim.kernels.codes_numba import add_codes, add_to
from axsim.kernels.conv_codes_numba import depthwise_lines
from axsim.kernels.conv_numba import maxima_part, pad_part
from axsim.kernels.finish_numba import requantise
from axsim.kernels.jit import inlined
from axsim.kernels.vectors.conv import convolve_codes
from axsim.kernels.vectors.team import Task, arguments_of, array, together
from axsim.kernels.vectors.tiles import BYTES
from axsim.kernels.vectors.winograd import some_tiles

_LEFT = "uint8" if BYTES else "int16"
_INTEGER, _INDICES = types.int64, array("int64", 1)
_SUMS = array("int32", 2, written=True)
_FINISH = together(array("int32", 1), array("float32", 1), *[types.float32] * 2, types.int32)


def _of_windows(out: str) -> Any:
    image = array(_LEFT, 1)
    panels = array("int32" if BYTES else "int16", 3)
    where = image, _INDICES, _INDICES, _INTEGER, panels, _SUMS, _INTEGER
    units = (together(*[types.float32] * n) for n in (2, 2, 4))
    term = together(array(out, 2), types.boolean, *units)
    return together(*where, _FINISH, term, array(out, 2, written=True), *[_INTEGER] * 4)


def _of_squares(out: str) -> Any:
    memory = together(array("int16", 2, written=True), _SUMS, _SUMS)
    where = array("int16", 3), array("int32", 4), memory
    return together(*where, _FINISH, array(out, 2, written=True), *[_INTEGER] * 6)


_CODES, _REAL = array("uint8", 1), types.float32
_ADD = together(
    *(_CODES, together(*[_REAL] * 2), _CODES, together(*[_REAL] * 2), together(*[_REAL] * 4)),
    *(array("uint8", 1, written=True), _INTEGER),
)  # fmt: skip
_DEPTHWISE = together(
    *(array("uint8", 3), array("int32", 2), together(*[_INTEGER] * 6)),
    *(array("int32", 1), array("float32", 1), _REAL, _REAL, types.int32),
    *(array("uint8", 3, written=True), _INTEGER),
)  # fmt: skip
_PAD = together(
    *(array("uint8", 3), types.boolean, array(_LEFT, 3, written=True), _INTEGER, _INTEGER),
    *(getattr(types, _LEFT), _INTEGER),
)  # fmt: skip
_W8, _W16, _S8, _S16 = (of(out) for of in (_of_windows, _of_squares) for out in ("uint8", "uint16"))
_MAXIMA = together(
    *(array("uint8", 3), together(*[_INTEGER] * 8), types.uint8, array("uint8", 3, written=True)),
    _INTEGER,
)
_add_at, _depthwise_at, _pad_at, _maxima_at = (
    arguments_of(kind) for kind in (_ADD, _DEPTHWISE, _PAD, _MAXIMA)
)
_w8_at, _w16_at, _s8_at, _s16_at = (arguments_of(kind) for kind in (_W8, _W16, _S8, _S16))


@inlined
def _windows(part: Any, worker: Any, arguments: Any) -> None:
    image, places, pieces, run, panels, strips, columns, finish, term, out, left = arguments[:11]
    step, across, shares = arguments[11:]
    shift, multiplier, low, high, zero = finish
    begin, first = part // shares * step, part % shares * across
    end, last = min(begin + step, places.size), min(first + across, shift.size)
    convolve_codes(
        image, places[begin:end], pieces, run, panels, first, last, strips[worker], columns, shift,
        multiplier, low, high, zero, out[begin:end], left,
    )  # fmt: skip
    other, adds, own_unit, other_unit, unit = term
    if adds:
        for i in range(begin, end):
            own = slice(left + first, left + last)
            add_to(out[i, own], own_unit, other[i, own], other_unit, unit)


@inlined
def _finish(sums: Any, numbers: Any, start: Any, count: Any, out: Any, first: Any) -> None:
    shift, multiplier, low, high, zero = numbers
    own, factors = shift[start : start + count], multiplier[start : start + count]
    rows, columns = sums.shape
    block = out[first : first + rows]
    requantise(sums.reshape(rows, 1, columns), own, factors, low, high, zero, block, start)


def _add_entry(part: Any, worker: Any, at: Any) -> None:
    a, qa, b, qb, y, out, step = _add_at(at)
    own = slice(part * step, part * step + step)
    add_codes(a[own], qa, b[own], qb, y, out[own])


def _depthwise_entry(part: Any, worker: Any, at: Any) -> None:
    image, taps, geometry, shift, multiplier, low, high, zero, out, step = _depthwise_at(at)
    begin, end = part * step, min(part * step + step, out.shape[0])
    depthwise_lines(image, taps, geometry, shift, multiplier, low, high, zero, begin, end, out)


def _pad_entry(part: Any, worker: Any, at: Any) -> None:
    pad_part(part, _pad_at(at))


def _w8_entry(part: Any, worker: Any, at: Any) -> None:
    _windows(part, worker, _w8_at(at))


def _w16_entry(part: Any, worker: Any, at: Any) -> None:
    _windows(part, worker, _w16_at(at))


def _s8_entry(part: Any, worker: Any, at: Any) -> None:
    some_tiles(part, worker, _s8_at(at), _finish)


def _s16_entry(part: Any, worker: Any, at: Any) -> None:
    some_tiles(part, worker, _s16_at(at), _finish)


def _maxima_entry(part: Any, worker: Any, at: Any) -> None:
    maxima_part(part, _maxima_at(at))


_U8, _U16 = np.dtype(np.uint8), np.dtype(np.uint16)
windows = {_U8: Task(_w8_entry, _W8), _U16: Task(_w16_entry, _W16)}
"""For results of a dtype (image, places, pieces, run, panels, strips [workers, numbers], columns of
a strip, what a Requantise has, what a sum has: other [M, N], whether there is one, and its
:func:`axsim.kernels.codes_numba.summing`; out [M, N], its first column, rows of a part, columns of
a part, parts that share rows): see :func:`axsim.kernels.vectors.conv.convolve_codes`."""
squares = {_U8: Task(_s8_entry, _S8), _U16: Task(_s16_entry, _S16)}
"""As :data:`axsim.kernels.vectors.float_tasks.squares`, with what a Requantise has."""
add = Task(_add_entry, _ADD)
"""The sum of flat U8 codes: (a, its zero point and scale, b, its own, those of the result and its
limits, out, elements of a part)."""
depthwise = Task(_depthwise_entry, _DEPTHWISE)
"""Of U8 codes: (what :func:`axsim.kernels.conv_codes_numba.depthwising` gives, out [height, width,
C], lines of a part)."""
pad = Task(_pad_entry, _PAD)
"""As :data:`axsim.kernels.vectors.float_tasks.pad`, of U8 codes to what windows are read from."""
maxima = Task(_maxima_entry, _MAXIMA)
"""As :data:`axsim.kernels.vectors.float_tasks.maxima`, of U8 codes."""
