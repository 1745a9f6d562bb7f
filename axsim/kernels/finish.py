"""What becomes of exact sums of products: codes, or floating-point numbers.

Sums are ``int32 [P M, Q, N]``: of the products of the M left rows' P bytes with the N right
columns' Q bytes, high bytes first. One byte of either makes them the sums themselves. A finish is
what its ``plain`` says; :mod:`axsim.kernels.finish_numba` computes the same bits in one pass.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from axsim.kernels.arithmetic import round_bf16
from axsim.kernels.array import Array
from axsim.kernels.codes import rounded_codes
from axsim.kernels.qparams import QParams
from axsim.kernels.twin import twin


@dataclass(frozen=True, slots=True)
class Requantise:
    """Codes of parameters ``y``: ``saturate(round(float32(sum + shift) * multiplier) + zero)``.

    ``shift``: int64 [N]; ``multiplier``: float32 [N]. The shifted sums of products of single bytes
    stay in S32.
    """

    shift: Array
    multiplier: Array
    y: QParams

    def plain(self, sums: Array, out: Array, left: int = 0) -> None:
        """Write the N columns of ``out`` [M, ...] from ``left`` on. May overwrite ``sums``."""
        acc = whole(sums, len(out))
        acc += self.shift.astype(acc.dtype)
        steps = acc.astype(np.float32)
        steps *= self.multiplier
        out[:, left : left + self.shift.size] = rounded_codes(steps, self.y)


@dataclass(frozen=True, slots=True)
class FromFixedPoint:
    """Numbers: ``float32(sum + shift) * grid * scale + bias``, rounded to bf16 if ``to_bf16``.

    ``grid``: float32 [M], the unit of each left row; ``shift`` float64, ``scale`` and ``bias``
    float32 [N].
    """

    grid: Array
    shift: Array
    scale: Array
    bias: Array
    to_bf16: bool = False

    def plain(self, sums: Array, out: Array, left: int = 0) -> None:
        """Write the N columns of ``out`` [M, ...] from ``left`` on."""
        value = (whole(sums, len(out)) + self.shift).astype(np.float32)
        with np.errstate(over="ignore"):
            value *= self.grid[:, None]
            value *= self.scale
            value += self.bias
        part = out[:, left : left + self.shift.size]
        part[...] = round_bf16(value) if self.to_bf16 else value


Finish: TypeAlias = Requantise | FromFixedPoint


@dataclass(frozen=True, slots=True)
class Sum:
    """What becomes of codes of parameters ``own`` next: codes of parameters ``y`` of their sum with
    codes of parameters ``other`` (:func:`axsim.kernels.codes.add`)."""

    own: QParams
    other: QParams
    y: QParams


@twin("axsim.kernels.finish_numba")
def finished(finish: Finish, sums: Array, out: Array, left: int = 0) -> None:
    """``finish.plain(sums, out, left)``; ``out`` is C-contiguous."""
    finish.plain(sums, out, left)


def whole(sums: Array, rows: int) -> Array:
    """Sums [M, N] over numbers from those over their bytes: int32 as they are when each has one,
    else exact in float64."""
    planes = sums.reshape(-1, rows, *sums.shape[1:])
    if len(planes) * sums.shape[1] == 1:
        only: Array = planes[0, :, 0]
        return only
    acc = np.zeros((rows, sums.shape[2]))
    for p, plane in enumerate(planes[::-1]):
        for q, part in enumerate(plane.swapaxes(0, 1)[::-1]):
            acc += part * 256.0 ** (p + q)
    return acc
